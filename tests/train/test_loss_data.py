from __future__ import annotations

from dataclasses import replace

import pytest

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.training_set import TrainingSet
from embedtune.errors import DataError
from embedtune.train.loss_data import examples_for, scores_for, with_near_duplicates

LONG = "水壶里的水垢可以用白醋去除：把白醋和水按一比一的比例倒进水壶，烧开以后放置半个小时，再倒掉并用清水冲洗两遍。"


@pytest.fixture
def dataset():
    return RetrievalDataset(
        queries={"a": "水垢怎么去除", "b": "how to keep bread", "c": "rain"},
        corpus={
            "pa": LONG,
            "near pa": LONG + "完",
            "pb": "keep bread in a cloth bag",
            "x": "in the fridge it goes stale",
            "y": "coats",
        },
        relevant_docs={"a": ["pa"], "b": ["pb"], "c": []},
        negative_docs={"a": ["x"], "b": ["x", "near pa"]},
        queries_split={"train": ["a", "b", "c"]},
        extra={
            "scores": {"a": {"pa": 0.9, "x": 0.2}, "c": {"y": 0.1}},
            "teacher_scores": {"b": {"pb": 4.5, "x": -3.0}},
        },
    )


@pytest.fixture
def training_set(dataset):
    return TrainingSet.build(dataset, "train", dataset.negative_docs, 4)


def test_a_near_duplicate_of_a_positive_is_no_negative(training_set):
    assert "near pa" not in training_set.conflicts["a"]
    near = with_near_duplicates(TrainingSet.build(training_set.dataset, "train", {"b": ["near pa"]}, 1))
    assert near.conflicts["a"] == {"pa", "near pa"}
    assert near.conflicts["b"] == {"pb"}


def test_scored_pairs_are_all_scored_documents(training_set):
    pairs = examples_for("cosent", training_set)
    assert [(e.query_id, e.positive_id) for e in pairs.examples] == [("a", "pa"), ("a", "x"), ("c", "y")]
    assert scores_for("cosent", pairs) == {"a": {"pa": 0.9, "x": 0.2}, "c": {"y": 0.1}}


def test_grades_are_scores_too(dataset):
    graded = replace(dataset, relevant_docs={"a": {"pa": 3, "x": 1}, "b": {"pb": 2, "y": 0}}, extra={})
    pairs = TrainingSet.build(graded, "train").scored_pairs()
    assert pairs.pair_scores("a") == {"pa": 3, "x": 1}
    assert pairs.pair_scores("b") == {"near pa": 0, "x": 0, "pb": 2, "y": 0}
    assert len(pairs.examples) == 6


def test_a_teacher_s_scores_come_before_the_data_s(training_set):
    taught = examples_for("distill-kl", training_set)
    assert [e.query_id for e in taught.examples] == ["a", "b"]
    assert scores_for("distill-kl", taught) == {"a": {"pa": 0.9, "x": 0.2}, "b": {"pb": 4.5, "x": -3.0}}
    assert scores_for("infonce", taught) == {}


def test_missing_scores_are_told(training_set):
    bare = TrainingSet.build(replace(training_set.dataset, extra={}), "train", training_set.dataset.negative_docs, 4)
    with pytest.raises(DataError, match="the dataset has no scores"):
        examples_for("cosent", bare)
    same = replace(training_set.dataset, extra={"scores": {"a": {"pa": 1.0, "x": 1.0}}})
    with pytest.raises(DataError, match=r"the same score, 1\.0, for every pair"):
        examples_for("cosent", TrainingSet.build(same, "train"))
    for loss in ("margin-mse", "distill-kl"):
        with pytest.raises(DataError, match="learns a teacher's scores"):
            examples_for(loss, bare)
