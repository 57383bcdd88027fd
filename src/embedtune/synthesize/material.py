"""What a filter looks at, what it may ask, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from embedtune.data.dataset import RetrievalDataset

if TYPE_CHECKING:  # so that the command line can list the filters' options without loading their models
    from embedtune.language.model import LanguageModel
    from embedtune.models.cache import EmbeddingCache
    from embedtune.models.encoder import Encoder
    from embedtune.search.fusion import Retriever
    from embedtune.search.reranking import Reranker

__all__ = ["Drop", "FilterModels", "Judgement", "Material", "Relabel", "RelevantDocs"]

RelevantDocs = list[str] | dict[str, float]


class Drop(NamedTuple):
    """Why a query is dropped: a short code, the reason in words, and the score that decided, if one did."""

    code: str
    reason: str
    score: float | None = None


class Relabel(NamedTuple):
    """A query's new relevant documents, and why."""

    relevant_docs: RelevantDocs
    reason: str


@dataclass(frozen=True)
class Judgement:
    """What a filter says of the queries it saw: which to drop, which to relabel; the others stay as they are.

    `notes` are sentences for the report, such as how many couldn't be judged.
    """

    dropped: Mapping[str, Drop] = field(default_factory=dict)
    relabelled: Mapping[str, Relabel] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FilterModels:
    """The models that filters may ask; each filter says which it needs."""

    encoder: Encoder | None = None
    reranker: Reranker | None = None
    language_model: LanguageModel | None = None
    cache: EmbeddingCache | None = None


class Material:
    """The queries to judge and the documents they are about; a search is prepared when it is first asked for.

    `relevant_docs` are the labels as the filters before left them.
    """

    def __init__(self, dataset: RetrievalDataset, query_ids: list[str], models: FilterModels) -> None:
        self.corpus = dataset.corpus
        self.queries = {query_id: dataset.queries[query_id] for query_id in query_ids}
        self.relevant_docs: dict[str, RelevantDocs] = {
            query_id: dataset.relevant_docs[query_id] for query_id in query_ids if query_id in dataset.relevant_docs
        }
        self.models = models
        self._retrievers: dict[str, Retriever] = {}

    def positives(self, query_id: str) -> list[str]:
        """Returns the ids of the documents a query is labelled with."""
        judged = self.relevant_docs.get(query_id, [])
        return [d for d, grade in judged.items() if grade > 0] if isinstance(judged, Mapping) else list(judged)

    def retriever(self, name: str) -> Retriever:
        """Returns the dense, bm25 or hybrid retriever over the corpus, made once."""
        from embedtune.search.retrievers import make_retriever

        if name not in self._retrievers:
            self._retrievers[name] = make_retriever(name, self.corpus, self.models.encoder, self.models.cache)
        return self._retrievers[name]

    def apply(self, judgement: Judgement) -> None:
        """Leaves out what a filter dropped, and gives the others their new labels."""
        self.queries = {q: text for q, text in self.queries.items() if q not in judgement.dropped}
        self.relevant_docs |= {q: change.relevant_docs for q, change in judgement.relabelled.items()}
