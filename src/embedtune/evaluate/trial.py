"""What a model is asked before it may replace another: the queries of a split, and those of every guard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from embedtune.data.corpus_sample import sample_corpus
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import DataError
from embedtune.evaluate.evaluation import Evaluation, evaluate
from embedtune.evaluate.guards import Guards, guard_split
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder
from embedtune.search.dense import DenseRetriever

__all__ = ["Measured", "Trial"]


@dataclass(frozen=True)
class Measured:
    """One model's evaluations: on the dataset's split, and on each guard by name."""

    target: Evaluation
    guards: Mapping[str, Evaluation]


@dataclass(frozen=True)
class Trial:
    """Asks every model the same; corpora over `max_documents` are sampled once, None takes them whole."""

    dataset: RetrievalDataset
    split: str
    guards: Guards
    max_documents: int | None = None
    seed: int = 42

    def measure(self, encoder: Encoder, cache: EmbeddingCache) -> Measured:
        """Returns the evaluations of a model; raises DataError where no query of the split has a relevant document."""
        query_ids = self.dataset.split_query_ids(self.split)
        if not any(self.dataset.positives(query_id) for query_id in query_ids):
            raise DataError(
                f"no query of the split {self.split!r} has a relevant document, so no gain can be shown on it",
                where=f"queries_split[{self.split!r}]",
                remedy="name another split, or divide the dataset anew with embedtune split",
            )
        target = self._evaluate(self.dataset, self.split, self._corpora[None], encoder, cache)
        guards = {
            name: self._evaluate(guard, guard_split(guard, self.split), self._corpora[name], encoder, cache)
            for name, guard in self.guards.items()
        }
        return Measured(target, guards)

    @cached_property
    def _corpora(self) -> dict[str | None, Mapping[str, str]]:
        """Returns the documents that are searched, by the guard's name; those of the dataset itself under None."""
        asked: dict[str | None, tuple[RetrievalDataset, str]] = {None: (self.dataset, self.split)}
        asked |= {name: (guard, guard_split(guard, self.split)) for name, guard in self.guards.items()}
        return {
            name: sample_corpus(dataset, dataset.split_query_ids(split), self.max_documents, self.seed)
            for name, (dataset, split) in asked.items()
        }

    @staticmethod
    def _evaluate(
        dataset: RetrievalDataset, split: str, corpus: Mapping[str, str], encoder: Encoder, cache: EmbeddingCache
    ) -> Evaluation:
        return evaluate(dataset, DenseRetriever(encoder, corpus, cache), split=split)
