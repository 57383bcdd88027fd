from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from embedtune.data.dataset import RetrievalDataset
from embedtune.search.bm25 import BM25Retriever
from embedtune.synthesize.filter_rounds import restore_queries
from embedtune.synthesize.filtering import FilterChoice, filter_queries
from embedtune.synthesize.filters.round_trip import RoundTripOptions
from embedtune.synthesize.material import FilterModels

CORPUS = {"a": "red apple pie", "b": "green apple", "c": "blue sky", "d": "blue apple sky tonight"}
QUERIES = {"first": "red apple", "second": "green apple", "lost": "blue sky", "none": "xylophone"}
LABELS = {"first": ["a"], "second": ["a"], "lost": ["a", "b"], "none": ["c"]}
ANGLES = {"red apple pie": 0.0, "green apple": 0.4, "blue sky": 1.2, "blue apple sky tonight": 1.0}
ANGLES |= {"red apple": 1.1, "blue sky": 1.2, "xylophone": 1.2}


class Placed:
    """An encoder whose vectors are given: each text's angle."""

    dim = 2

    def __init__(self):
        self.cache_key = {}

    def prompt(self, kind):
        return ""

    def encode(self, texts, kind):
        angles = np.array([ANGLES[text] for text in texts], dtype=np.float32)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def kept(**options):
    dataset = RetrievalDataset(QUERIES, CORPUS, LABELS)
    chosen = {"round-trip": RoundTripOptions(**options)}
    report = filter_queries(dataset, chosen, models=FilterModels(encoder=Placed()))
    return set(report.dataset.queries), report


@pytest.mark.parametrize(
    ("found_by", "top_k", "left"),
    [
        ("bm25", 1, {"first"}),
        ("bm25", 2, {"first", "second"}),
        ("dense", 1, {"none"}),
        ("dense", 2, {"second", "none"}),
        ("either", 1, {"first", "none"}),
        ("both", 2, {"second"}),
        ("both", 4, {"first", "second"}),
    ],
)
def test_who_finds_it_and_how_high(found_by, top_k, left):
    assert kept(found_by=found_by, round_trip_top_k=top_k)[0] == left


def test_one_of_several_documents_is_enough_and_the_reason_names_what_was_found():
    queries, report = kept(found_by="dense", round_trip_top_k=4)
    assert queries == set(QUERIES)
    _, report = kept(found_by="bm25", round_trip_top_k=1)
    reasons = {query_id: drop.reason for query_id, (_, drop) in report.dropped.items()}
    assert reasons["second"] == "its document isn't first: bm25 found 'b'"
    assert reasons["none"] == "its document isn't first: bm25 found 'nothing'"


def test_a_query_without_a_document_is_dropped_and_said():
    dataset = RetrievalDataset(QUERIES, CORPUS, {"first": ["a"], "second": {"b": 0}})
    report = filter_queries(dataset, {"round-trip": None})
    assert {query_id: (name, drop.code) for query_id, (name, drop) in report.dropped.items()} == dict.fromkeys(
        ["second", "lost", "none"], ("labels", "no-document")
    )
    assert "1 of 4 queries of 'all' are kept" in report.words()[0]
    assert restore_queries(report.dataset).content_hash() == dataset.content_hash()


def planted(dataset, split, hard, seed):
    """Returns the dataset twice as large: every query of the split again, with a document that isn't relevant.

    A hard one is drawn from the first ten that BM25 finds.
    """
    generator = random.Random(seed)
    documents = list(dataset.corpus)
    query_ids = dataset.split_query_ids(split)
    found = BM25Retriever(dataset.corpus).retrieve({q: dataset.queries[q] for q in query_ids}, 10)
    queries, labels = dict(dataset.queries), dict(dataset.relevant_docs)
    for query_id in query_ids:
        pool = found.document_ids(query_id) if hard else documents
        wrong = [document_id for document_id in pool if document_id not in dataset.positives(query_id)]
        queries[f"wrong {query_id}"] = dataset.queries[query_id]
        labels[f"wrong {query_id}"] = [generator.choice(wrong)]
    splits = {split: [*query_ids, *(f"wrong {query_id}" for query_id in query_ids)]}
    return replace(dataset, queries=queries, relevant_docs=labels, queries_split=splits)


@pytest.mark.slow
@pytest.mark.parametrize("hard", [False, True], ids=["random", "hard"])
@pytest.mark.parametrize("split", ["val", "test"])
def test_default_rule_removes_wrong_pairs_of_cmrc2018_and_keeps_good_ones(shared_data, split, hard):
    dataset = planted(RetrievalDataset.read(shared_data / "cmrc2018" / "dataset.json"), split, hard, seed=42)
    report = filter_queries(dataset, {"round-trip": None}, choice=FilterChoice(split=split))
    dropped = Counter("wrong" if query_id.startswith("wrong ") else "good" for query_id in report.dropped)
    of_each = report.before / 2
    assert dropped["wrong"] / of_each >= 0.9
    assert dropped["good"] / of_each < 0.05
