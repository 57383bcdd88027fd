from __future__ import annotations

import numpy as np
import pytest

from embedtune.data.dataset import RetrievalDataset
from embedtune.mine.mining import mine_negatives
from embedtune.mine.options import MineOptions


class Placed:
    """An encoder whose vectors are given: each text's angle from the query, by its cosine."""

    dim = 2

    def __init__(self, cosines):
        self.cosines = cosines
        self.cache_key = {}

    def prompt(self, kind):
        return ""

    def encode(self, texts, kind):
        cosines = np.array([self.cosines.get(text, 1.0) for text in texts], dtype=np.float32)
        return np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)


@pytest.fixture
def dataset():
    return RetrievalDataset(
        queries={"q": "question", "same": "question ", "unjudged": "other"},
        corpus={
            "positive": "p1",
            "weaker positive": "p2",
            "copy": " p1",
            "elsewhere": "p3",
            "nearly": "n1",
            "hard": "n2",
            "harder": "n3",
            "easy": "n4",
        },
        relevant_docs={"q": ["positive", "weaker positive"], "same": ["elsewhere"]},
        queries_split={"train": ["q", "unjudged"], "test": ["same"]},
    )


COSINES = {"p1": 0.9, "p2": 0.8, " p1": 0.9, "p3": 0.7, "n1": 0.77, "n3": 0.6, "n2": 0.5, "n4": 0.1}


def test_hardest_first_and_never_a_positive(dataset):
    report = mine_negatives(dataset, Placed(COSINES))
    assert report.negatives == {"q": ["harder", "hard", "easy"]}
    assert report.known_positives_dropped == 4
    assert report.probable_positives_dropped == 1
    assert report.queries_without_negatives == 0


def test_the_share_is_of_the_lowest_scored_positive(dataset):
    lenient = mine_negatives(dataset, Placed(COSINES), options=MineOptions(positive_share=0.97))
    assert lenient.negatives["q"][0] == "nearly"
    strict = mine_negatives(dataset, Placed(COSINES), options=MineOptions(positive_share=0.7))
    assert strict.negatives["q"] == ["hard", "easy"]


def test_depth_and_number(dataset):
    shallow = mine_negatives(dataset, Placed(COSINES), options=MineOptions(depth=5, fill_up=False))
    assert shallow.negatives["q"] == []
    assert shallow.queries_without_negatives == 1
    assert mine_negatives(dataset, Placed(COSINES), options=MineOptions(negatives=1)).negatives["q"] == ["harder"]


def test_a_positive_that_scores_below_zero(dataset):
    cosines = COSINES | {"p2": -0.2, "n4": -0.195}
    report = mine_negatives(dataset, Placed(cosines))
    assert report.negatives["q"] == []


def test_real_encoder_on_the_sample(sample, tiny_encoder):
    report = mine_negatives(sample, tiny_encoder, options=MineOptions(negatives=3))
    assert set(report.negatives) == set(sample.queries_split["train"])
    for query_id, negatives in report.negatives.items():
        assert not set(negatives) & set(sample.positives(query_id))
