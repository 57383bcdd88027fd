"""What several checks look at, worked out once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.near_duplicates import near_duplicate_groups
from embedtune.data.shingles import TextLength, normalise_text

__all__ = ["NEAR_DOCUMENT", "NEAR_QUERY", "TRAIN", "DatasetView", "TextsById", "same_or_near"]

TRAIN = "train"
NEAR_DOCUMENT = 0.8
NEAR_QUERY = 0.75
"""Share of a text's pieces that two documents or queries have in common to count as near-duplicates."""

Groups = list[list[str]]


class TextsById(Sequence[str]):
    """The texts of some ids in their order, fetched when asked for, so that a corpus may stay on disk."""

    def __init__(self, texts: Mapping[str, str], ids: Sequence[str]) -> None:
        self._texts = texts
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, position: int) -> str:  # type: ignore[override]  # slices aren't needed
        return self._texts[self._ids[position]]


class DatasetView:
    """A dataset without faults of format, and what the checks share about it."""

    def __init__(self, dataset: RetrievalDataset) -> None:
        self.dataset = dataset

    @cached_property
    def splits_of(self) -> dict[str, list[str]]:
        """Query id → the splits it is in, each as often as it is listed there."""
        splits: dict[str, list[str]] = defaultdict(list)
        for split, query_ids in self.dataset.queries_split.items():
            for query_id in query_ids:
                splits[query_id].append(split)
        return dict(splits)

    def splits_among(self, query_ids: Sequence[str]) -> set[str]:
        """Returns the splits that these queries are in."""
        return {split for query_id in query_ids for split in self.splits_of.get(query_id, ())}

    @cached_property
    def positives(self) -> dict[str, list[str]]:
        """Query id → relevant document ids, for queries that have any."""
        found = {query_id: self.dataset.positives(query_id) for query_id in self.dataset.queries}
        return {query_id: documents for query_id, documents in found.items() if documents}

    @cached_property
    def splits_of_document(self) -> dict[str, set[str]]:
        """Document id → the splits with a query it is relevant to."""
        splits: dict[str, set[str]] = defaultdict(set)
        for query_id, documents in self.positives.items():
            for document_id in documents:
                splits[document_id].update(self.splits_of.get(query_id, ()))
        return dict(splits)

    @cached_property
    def same_documents(self) -> Groups:
        """Groups of documents whose text is the same but for width, case and white space."""
        return _same(self.dataset.corpus)

    @cached_property
    def same_queries(self) -> Groups:
        """Groups of queries whose text is the same but for width, case and white space."""
        return _same(self.dataset.queries)

    @cached_property
    def near_documents(self) -> Groups:
        """Groups of documents that say almost the same; those with the same text are in them."""
        return same_or_near(self.dataset.corpus, list(self.dataset.corpus), "long")

    @cached_property
    def near_queries(self) -> Groups:
        """Groups of queries that differ in a word or two; those with the same text are in them."""
        return same_or_near(self.dataset.queries, list(self.dataset.queries), "short")

    def same_text(self, texts: Mapping[str, str], ids: Sequence[str]) -> bool:
        """Says whether all these ids have the same text."""
        first, *others = (normalise_text(texts[text_id]) for text_id in ids)
        return all(other == first for other in others)


def same_or_near(texts: Mapping[str, str], ids: Sequence[str], length: TextLength) -> Groups:
    """Returns groups of the ids whose texts say almost the same; see near_duplicate_groups."""
    threshold = NEAR_DOCUMENT if length == "long" else NEAR_QUERY
    groups = near_duplicate_groups(TextsById(texts, ids), threshold, length)
    return [[ids[position] for position in group] for group in groups]


def _same(texts: Mapping[str, str]) -> Groups:
    by_text: dict[str, list[str]] = defaultdict(list)
    for text_id, text in texts.items():
        by_text[normalise_text(text)].append(text_id)
    return [ids for ids in by_text.values() if len(ids) > 1]
