from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from embedtune.data.checks import check_dataset
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.groups import connected_groups
from embedtune.data.splits import SplitOptions, split_dataset, split_queries
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


def numbers(count):
    """Returns that many different texts, none near another."""
    return [hashlib.sha256(str(i).encode()).hexdigest()[:24] for i in range(count)]


def test_near_duplicates_stay_on_one_side():
    queries = {f"q{i}": text for i, text in enumerate(numbers(40))}
    twins = {f"t{i}": queries[f"q{i}"].upper() + "!" for i in range(8)}
    corpus = {f"d{i}": f"{text} {text[::-1]}" for i, text in enumerate(numbers(60)[12:])}
    relevant = {query_id: [f"d{i}"] for i, query_id in enumerate([*queries, *twins])}
    corpus["d39"] = corpus["d38"].upper()
    made = split_dataset(RetrievalDataset({**queries, **twins}, corpus, relevant), SplitOptions(val=0.2, test=0.3))
    side = {query_id: split for split, ids in made.dataset.queries_split.items() for query_id in ids}
    assert all(side[f"q{i}"] == side[f"t{i}"] for i in range(8))
    assert side["q38"] == side["q39"]
    assert (made.near_queries, made.near_documents) == (16, 2)
    assert "16 near-duplicate queries and 2 near-duplicate documents stayed on one side" in made.words()[2]


def test_a_template_is_not_a_group_of_copies():
    relevant = {f"q{i}": [f"d{i}"] for i in range(100)}
    made = RetrievalDataset(
        queries={f"q{i}": f"how many parts does the long machine number {i % 98} have" for i in range(100)},
        corpus={f"d{i}": text for i, text in enumerate(numbers(100))},
        relevant_docs=relevant,
    )
    result = split_dataset(made, SplitOptions())
    assert result.largest_group == 2
    assert result.near_queries == 4


def test_by_query_may_share_documents():
    shared = dataset(5, documents=8)
    shared = replace(shared, queries=dict(zip(shared.queries, numbers(40), strict=True)))
    result = split_dataset(shared, SplitOptions(by="query", val=0.25, test=0.25))
    assert {split: len(ids) for split, ids in result.dataset.queries_split.items()} == {
        "train": 20, "val": 10, "test": 10
    }  # fmt: skip
    assert result.shared_documents > 0
    assert f"{result.shared_documents} documents are relevant in train and in val or test" in result.words()[1]


def test_within_document_holds_out_only_what_train_covers():
    several = dataset(4, documents=10)
    several = replace(several, queries=dict(zip(several.queries, numbers(40), strict=True)))
    result = split_dataset(several, SplitOptions(by="within-document", val=0.2, test=0.2))
    splits = result.dataset.queries_split
    trained = {document_id for query_id in splits["train"] for document_id in several.positives(query_id)}
    assert all(set(several.positives(q)) <= trained for name in ("val", "test") for q in splits[name])
    assert (len(splits["val"]), len(splits["test"])) == (8, 8)
    assert "NUDGE can be validated" in result.words()[1]
    with pytest.raises(DataError, match="only documents with several queries"):
        split_dataset(dataset(1), SplitOptions(by="within-document"))


def test_real_collections_split_without_leaks(shared_data):
    for name in ("xquad-zh", "xquad-en"):
        made = split_dataset(RetrievalDataset.read(shared_data / name / "dataset.json"), SplitOptions())
        found = {finding.code for finding in check_dataset(made.dataset)}
        assert not found & {"leaked-queries", "nearly-leaked-queries", "documents-shared-by-splits"}
        assert not found & {"near-documents-shared-by-splits", "query-in-two-splits", "queries-in-no-split"}
