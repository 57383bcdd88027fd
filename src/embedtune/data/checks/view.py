"""What several checks look at, worked out once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.near_duplicates import same_or_near, same_texts
from embedtune.data.shingles import normalise_text

__all__ = ["TRAIN", "DatasetView"]

TRAIN = "train"

Groups = list[list[str]]


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
        return same_texts(self.dataset.corpus, chain.from_iterable(self.near_documents))

    @cached_property
    def same_queries(self) -> Groups:
        """Groups of queries whose text is the same but for width, case and white space."""
        return same_texts(self.dataset.queries, chain.from_iterable(self.near_queries))

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
