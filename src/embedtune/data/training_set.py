"""What a model is trained on: a query, a relevant document, and documents that aren't."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import DataError

__all__ = ["TrainingExample", "TrainingSet"]


@dataclass(frozen=True)
class TrainingExample:
    """Ids into the dataset: one query, one of its positives, its negatives."""

    query_id: str
    positive_id: str
    negative_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingSet:
    """Examples over one dataset, with what is known to be relevant in any of its splits.

    `conflicts` maps a query id to every document id that must never stand against it as a
    negative: its relevant documents, and those whose text equals one of them.
    """

    dataset: RetrievalDataset
    examples: Sequence[TrainingExample]
    conflicts: Mapping[str, frozenset[str]]

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
        return cls(dataset, examples, conflicts)


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
