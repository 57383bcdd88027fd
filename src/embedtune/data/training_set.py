"""What a model is trained on: a query, a relevant document, and documents that aren't."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import DataError

__all__ = ["ReplayedTexts", "TrainingExample", "TrainingSet", "known_relevant"]


@dataclass(frozen=True)
class TrainingExample:
    """Ids into the dataset: one query, one of its positives, its negatives."""

    query_id: str
    positive_id: str
    negative_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReplayedTexts:
    """Documents, how many of them come to each document of a batch, and queries, of which as many come to it.

    Neither are judged: the vectors of both are to stay as the base model has them.
    """

    documents: Sequence[str]
    per_document: float
    seed: int
    queries: Sequence[str] = ()


@dataclass(frozen=True)
class TrainingSet:
    """Examples over one dataset, with what is known to be relevant in any of its splits.

    `conflicts` maps a query id to every document id that must never stand against it as a
    negative: its relevant documents, and those whose text equals one of them. `query_ids` are
    all queries of the split, also those without a relevant document. Where examples of another
    dataset are mixed in, `own` is the dataset without them; `replayed` are texts whose vectors are
    to stay as they are.
    """

    dataset: RetrievalDataset
    examples: Sequence[TrainingExample]
    conflicts: Mapping[str, frozenset[str]]
    query_ids: Sequence[str] = ()
    own: RetrievalDataset | None = None
    replayed: ReplayedTexts | None = None

    @property
    def val_dataset(self) -> RetrievalDataset:
        """Returns the dataset by which models are judged: without what was mixed in."""
        return self.own or self.dataset

    @classmethod
    def build(
        cls,
        dataset: RetrievalDataset,
        split: str,
        negatives: Mapping[str, Sequence[str]] | None = None,
        negatives_per_query: int = 0,
    ) -> TrainingSet:
        """Makes an example of each (query, relevant document) of a split.

        Every example gets the first `negatives_per_query` of its query's negatives; where a
        query has fewer, its example has fewer. Raises DataError where nothing can be trained.
        """
        conflicts = known_relevant(dataset)
        examples: list[TrainingExample] = []
        for query_id in dataset.split_query_ids(split):
            allowed = [
                document_id
                for document_id in dict.fromkeys((negatives or {}).get(query_id, ()))
                if document_id not in conflicts.get(query_id, ())
            ]
            chosen = tuple(allowed[:negatives_per_query])
            examples += [TrainingExample(query_id, positive_id, chosen) for positive_id in dataset.positives(query_id)]
        if not examples:
            raise DataError(
                f"no query of the split {split!r} has a relevant document, so there is nothing to train on",
                where="relevant_docs",
            )
        return cls(dataset, examples, conflicts, dataset.split_query_ids(split))

    def scored_pairs(self) -> TrainingSet:
        """Returns an example for each scored document of the split's queries, relevant or not; see pair_scores."""
        query_ids = self.query_ids or dict.fromkeys(example.query_id for example in self.examples)
        pairs = [TrainingExample(query_id, d) for query_id in query_ids for d in self.pair_scores(query_id)]
        return replace(self, examples=pairs)

    def pair_scores(self, query_id: str) -> Mapping[str, float]:
        """Returns document id → score as the data gives them: the field `scores`, else graded judgements.

        Where judgements are graded, a negative has the grade 0. Empty where nothing is scored.
        """
        scores = self._scores("scores", query_id)
        judged = self.dataset.relevant_docs.get(query_id)
        if scores or not isinstance(judged, Mapping):
            return scores
        return dict.fromkeys(self.dataset.negative_docs.get(query_id, ()), 0.0) | dict(judged)

    def teacher_scores(self, query_id: str) -> Mapping[str, float]:
        """Returns document id → score by a teacher: the field `teacher_scores` of embedtune mine, else `scores`."""
        return self._scores("teacher_scores", query_id) or self._scores("scores", query_id)

    def _scores(self, name: str, query_id: str) -> Mapping[str, float]:
        field = self.dataset.extra.get(name)
        scores = field.get(query_id) if isinstance(field, Mapping) else None
        return scores if isinstance(scores, Mapping) else {}


def known_relevant(dataset: RetrievalDataset) -> dict[str, frozenset[str]]:
    """Returns query id → documents that may never be its negatives, over all splits.

    Queries of equal text share their relevant documents, and documents of equal text count
    as one.
    """
    text_of = {d: dataset.corpus[d].strip() for d in dict.fromkeys(d for _, d in dataset.known_positive_pairs())}
    copies: dict[str, list[str]] = {text: [] for text in text_of.values()}
    for document_id, text in dataset.corpus.items():
        found = copies.get(text.strip())
        if found is not None:
            found.append(document_id)
    relevant_to_text: dict[str, set[str]] = {}
    for query_id, document_id in dataset.known_positive_pairs():
        relevant_to_text.setdefault(dataset.queries[query_id].strip(), set()).update(copies[text_of[document_id]])
    frozen = {text: frozenset(ids) for text, ids in relevant_to_text.items()}
    return {query_id: frozen.get(text.strip(), frozenset()) for query_id, text in dataset.queries.items()}
