from __future__ import annotations

import pytest

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.groups import connected_groups
from embedtune.data.splits import split_queries
from embedtune.errors import DataError, OptionsError


def dataset(queries_per_document, documents=40):
    relevant = {f"q{d}-{n}": [f"d{d}"] for d in range(documents) for n in range(queries_per_document)}
    return RetrievalDataset(
        queries={query_id: query_id for query_id in relevant},
        corpus={f"d{d}": f"text {d}" for d in range(documents)},
        relevant_docs=relevant,
    )


def test_no_document_is_on_two_sides():
    made = split_queries(dataset(3), val_fraction=0.2, test_fraction=0.2, seed=1)
    sides = {
        split: {document for query in ids for document in made.positives(query)}
        for split, ids in made.queries_split.items()
    }
    assert not sides["train"] & sides["val"]
    assert not sides["train"] & sides["test"]
    assert not sides["val"] & sides["test"]
    assert sum(map(len, made.queries_split.values())) == 120


def test_sizes_and_seed():
    one = split_queries(dataset(1), val_fraction=0.15, test_fraction=0.25, seed=1)
    assert {split: len(ids) for split, ids in one.queries_split.items()} == {"train": 24, "val": 6, "test": 10}
    assert one == split_queries(dataset(1), val_fraction=0.15, test_fraction=0.25, seed=1)
    assert one != split_queries(dataset(1), val_fraction=0.15, test_fraction=0.25, seed=2)


def test_queries_linked_through_others_stay_together():
    chain = RetrievalDataset(
        queries={"a": "1", "b": "2", "c": "3", "z": "4"},
        corpus={"x": "x", "y": "y", "w": "w"},
        relevant_docs={"a": ["x"], "b": ["x", "y"], "c": ["y"], "z": ["w"]},
    )
    made = split_queries(chain, val_fraction=0, test_fraction=0.25, seed=0)
    assert {frozenset(ids) for ids in made.queries_split.values()} >= {frozenset({"a", "b", "c"}), frozenset({"z"})}


def test_too_few_queries_and_bad_fractions():
    with pytest.raises(DataError, match="too few queries to fill the split"):
        split_queries(dataset(4, documents=1), val_fraction=0.3, test_fraction=0.3, seed=0)
    with pytest.raises(OptionsError, match="leave something for train"):
        split_queries(dataset(1), val_fraction=0.5, test_fraction=0.5, seed=0)


def test_connected_groups():
    assert connected_groups(5, [(0, 3), (3, 4)]) == [[0, 3, 4], [1], [2]]
    assert connected_groups(0, []) == []
