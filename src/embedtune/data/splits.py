"""Divides queries into train, val and test so that no document is on two sides."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.groups import connected_groups
from embedtune.errors import DataError, OptionsError

__all__ = ["split_queries"]


def split_queries(
    dataset: RetrievalDataset, *, val_fraction: float, test_fraction: float, seed: int
) -> RetrievalDataset:
    """Returns the dataset with new splits train, val and test, divided by document.

    Queries that share a relevant document, directly or through other queries, stay together.
    The fractions are shares of the queries; groups are dealt out whole, so a split can be off
    by the size of a group. Raises OptionsError for fractions that leave no train split,
    DataError where a wanted split stays empty.
    """
    if min(val_fraction, test_fraction) < 0 or val_fraction + test_fraction >= 1:
        raise OptionsError(f"val {val_fraction} and test {test_fraction} must leave something for train")
    groups = _groups_sharing_documents(dataset)
    random.Random(seed).shuffle(groups)
    wanted = {
        "test": round(test_fraction * len(dataset.queries)),
        "val": round(val_fraction * len(dataset.queries)),
    }
    splits: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for group in groups:
        open_splits = [name for name, size in wanted.items() if len(splits[name]) < size]
        splits[open_splits[0] if open_splits else "train"].extend(group)
    _refuse_empty(splits, wanted)
    order = {query_id: place for place, query_id in enumerate(dataset.queries)}
    return replace(dataset, queries_split={name: sorted(ids, key=order.__getitem__) for name, ids in splits.items()})


def _groups_sharing_documents(dataset: RetrievalDataset) -> list[list[str]]:
    query_ids = list(dataset.queries)
    first_query_of: dict[str, int] = {}
    links = [
        (first_query_of.setdefault(document_id, position), position)
        for position, query_id in enumerate(query_ids)
        for document_id in dataset.positives(query_id)
    ]
    return [[query_ids[i] for i in group] for group in connected_groups(len(query_ids), links)]


def _refuse_empty(splits: Mapping[str, list[str]], wanted: Mapping[str, int]) -> None:
    for name in ("train", *(name for name, size in wanted.items() if size)):
        if not splits[name]:
            raise DataError(
                f"too few queries to fill the split {name!r}",
                where="queries",
                remedy="give more queries or smaller fractions; queries that share documents stay together",
            )
