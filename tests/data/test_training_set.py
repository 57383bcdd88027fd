from __future__ import annotations

import pytest

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.training_set import TrainingExample, TrainingSet, known_relevant
from embedtune.errors import DataError


def test_known_positives_and_their_copies_are_never_negatives():
    dataset = RetrievalDataset(
        queries={"a": "same words", "b": "same words ", "c": "other"},
        corpus={"x": "text", "copy of x": " text", "y": "why", "z": "zed"},
        relevant_docs={"a": ["x"], "b": {"y": 1, "z": 0}},
        queries_split={"train": ["a"], "test": ["b"]},
    )
    relevant = known_relevant(dataset)
    assert relevant == {"a": {"x", "copy of x", "y"}, "b": {"x", "copy of x", "y"}, "c": frozenset()}
    made = TrainingSet.build(dataset, "train", {"a": ["copy of x", "y", "z", "z"]}, negatives_per_query=2)
    assert made.examples == [TrainingExample("a", "x", ("z",))]


def test_an_example_for_each_positive(sample):
    made = TrainingSet.build(sample, "train", sample.negative_docs, negatives_per_query=1)
    assert TrainingExample("q01", "en-kettle", ()) in made.examples
    assert TrainingExample("q01", "zh-kettle", ()) in made.examples
    assert TrainingExample("q02", "en-bread", ("zh-tea",)) in made.examples


def test_nothing_to_train_on():
    dataset = RetrievalDataset({"a": "q"}, {"x": "t"}, {"a": {"x": 0}}, queries_split={"train": ["a"]})
    with pytest.raises(DataError, match="nothing to train on"):
        TrainingSet.build(dataset, "train")
