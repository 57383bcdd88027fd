from __future__ import annotations

import pytest

from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import DataError
from embedtune.synthesize.filter_rounds import FILTER_ROUNDS, dropped_queries, restore_queries, with_round


@pytest.fixture
def dataset():
    return RetrievalDataset(
        queries={"q1": "one", "q2": "两个", "q3": "three", "q4": "four", "t": "test"},
        corpus={"d1": "1", "d2": "2"},
        relevant_docs={"q3": ["d1"], "q1": {"d1": 2, "d2": 0}, "q2": ["d2"], "q4": ["d1"], "t": ["d1"]},
        negative_docs={"q2": ["d1"]},
        reference_answers={"q1": None, "q2": "二"},
        queries_split={"train": ["q4", "q2", "q1", "q3"], "test": ["t"]},
        extra={"kept": [1, {"a": 2}]},
    )


def said(name):
    return {"filter": name, "code": "code", "reason": "because", "score": None}


def two_rounds(dataset):
    change = {"q1": {"filter": "relabel", "reason": "better", "labels": {"d1": 2, "d2": 2}}}
    once = with_round(dataset, {"a": {}}, {"q2": said("a"), "q4": said("a")}, change)
    return with_round(once, {"b": {}}, {"q1": said("b")}, {"q3": {"filter": "c", "reason": "", "labels": ["d2"]}})


def test_rounds_take_out_and_keep(dataset):
    filtered = two_rounds(dataset)
    assert filtered.queries == {"q3": "three", "t": "test"}
    assert filtered.relevant_docs == {"q3": ["d2"], "t": ["d1"]}
    assert filtered.queries_split == {"train": ["q3"], "test": ["t"]}
    assert filtered.negative_docs == {}
    kept = dropped_queries(filtered)
    assert set(kept) == {"q1", "q2", "q4"}
    assert kept["q2"] | {"places": None} == {
        "queries": "两个", "relevant_docs": ["d2"], "negative_docs": ["d1"], "reference_answers": "二", "places": None
    } | said("a")  # fmt: skip
    assert kept["q1"]["relevant_docs"] == {"d1": 2, "d2": 2}


@pytest.mark.parametrize("place", [None, "file.json", "folder"])
def test_restoring_gives_back_every_byte(dataset, tmp_path, place):
    filtered = two_rounds(dataset)
    if place:
        filtered.write(tmp_path / place)
        filtered = RetrievalDataset.read(tmp_path / place)
    assert restore_queries(filtered).content_hash() == dataset.content_hash()


def test_nothing_dropped_nothing_to_restore(dataset):
    assert restore_queries(dataset).content_hash() == dataset.content_hash()
    assert restore_queries(with_round(dataset, {}, {}, {})).content_hash() == dataset.content_hash()


def test_damaged_records_are_reported(dataset):
    filtered = two_rounds(dataset)
    del filtered.extra[FILTER_ROUNDS][0]["dropped"]["q2"]["places"]
    with pytest.raises(DataError, match="damaged"):
        restore_queries(filtered)
