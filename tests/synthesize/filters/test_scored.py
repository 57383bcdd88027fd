"""The filters that go by a cross-encoder's score: cross-encoder and relabel."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from embedtune.data.dataset import RetrievalDataset
from embedtune.synthesize.filtering import filter_queries
from embedtune.synthesize.filters.cross_encoder import CrossEncoderOptions
from embedtune.synthesize.filters.relabel import RelabelOptions
from embedtune.synthesize.material import FilterModels

SCORES = {
    ("鲸鱼 呼吸", "wrong"): -3.0,
    ("鲸鱼 呼吸", "better"): 1.5,
    ("鲸鱼 呼吸", "best"): 2.0,
    ("鲸鱼 睡觉", "wrong"): 0.0,
    ("鲸鱼 睡觉", "better"): 0.5,
    ("鲸鱼 睡觉", "best"): 0.9,
    ("鲸鱼 吃鱼", "best"): 4.0,
    ("鲸鱼 吃鱼", "better"): -5.0,
    ("鲸鱼 吃鱼", "wrong"): -5.0,
}
CORPUS = {"wrong": "鱼在水里。", "better": "鲸鱼用肺呼吸。", "best": "鲸鱼呼吸空气，也吃鱼。"}
QUERIES = {"a": "鲸鱼 呼吸", "b": "鲸鱼 睡觉", "c": "鲸鱼 吃鱼"}
LABELS = {"a": {"wrong": 2, "best": 0}, "b": ["wrong"], "c": ["best", "wrong"]}
DATASET = RetrievalDataset(QUERIES, CORPUS, LABELS)


def score(pairs):
    name = {text: document_id for document_id, text in CORPUS.items()}
    return np.array([SCORES[query, name[document]] for query, document in pairs], dtype=np.float32)


def report(filter_name, options):
    return filter_queries(DATASET, {filter_name: options}, models=FilterModels(reranker=SimpleNamespace(score=score)))


def test_the_best_of_a_querys_documents_counts_against_the_threshold():
    assert set(report("cross-encoder", None).dropped) == {"a"}
    assert set(report("cross-encoder", CrossEncoderOptions(lowest_score=0.1)).dropped) == {"a", "b"}
    found = report("cross-encoder", CrossEncoderOptions(lowest_score=-9, best_share=0.4)).dropped
    assert {query_id: (drop.code, drop.score) for query_id, (_, drop) in found.items()} == {
        "a": ("not-among-the-best", -3.0)
    }
    assert set(report("cross-encoder", CrossEncoderOptions(lowest_score=-9, best_share=0.3)).dropped) == {"a", "b"}


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({}, {"a": {"wrong": 2, "best": 2, "better": 2}, "b": ["wrong"]}),
        ({"margin": 0.6}, {"a": {"wrong": 2, "best": 2, "better": 2}, "b": ["wrong", "best"]}),
        ({"relabel_how": "move"}, {"a": {"best": 2}, "b": ["wrong"]}),
        ({"relabel_how": "move", "margin": 0.1}, {"a": {"best": 2}, "b": ["best"]}),
        ({"margin": 5.5}, {"a": LABELS["a"], "b": ["wrong"]}),
        ({"candidates": 1, "relabel_how": "move"}, {"a": {"better": 2}, "b": ["wrong"]}),
    ],
)
def test_relabel_adds_or_moves(options, labels):
    found = report("relabel", RelabelOptions(**options))
    assert found.dropped == {}
    assert found.dataset.relevant_docs == labels | {"c": LABELS["c"]}
