from __future__ import annotations

import math

import numpy as np
import pytest
from tests.mine.placed import Placed

from embedtune.data.dataset import RetrievalDataset
from embedtune.evaluate.doctor_options import DoctorOptions
from embedtune.evaluate.false_negatives import diagnose
from embedtune.evaluate.suspicion import suspicion


def dataset_of(cosines, queries=10):
    """One positive `p` a query; the documents' texts are their ids, placed at the given cosines."""
    ids = [str(number) for number in range(queries)]
    return RetrievalDataset(
        queries={query_id: f"question {query_id}" for query_id in ids},
        corpus={document_id: document_id for document_id in cosines},
        relevant_docs={query_id: ["p"] for query_id in ids},
        queries_split={"train": ids},
    )


def diagnosis(cosines, negatives, **options):
    dataset = dataset_of(cosines)
    found = diagnose(
        dataset, dict.fromkeys(dataset.queries, negatives), Placed(cosines), options=DoctorOptions(**options)
    )
    assert found is not None
    return found


EASY = {"p": 0.8, "a": 0.2, "b": 0.1, "c": 0.0, "d": -0.1} | {f"far {number}": 0.0 for number in range(40)}


def test_good_negatives_are_passed_in_silence():
    found = diagnosis(EASY, ["a", "b", "c"])
    assert found.warnings == []
    assert found.under == 0
    by_hand = math.log(sum(math.exp(20 * (EASY[d] - 0.8)) for d in "pabc"))
    assert found.loss == pytest.approx(by_hand, abs=1e-5)
    assert found.chance == pytest.approx(math.log(4))


def test_negatives_as_good_as_the_positive_are_near_guessing():
    cosines = EASY | {"x": 0.8, "y": 0.79, "z": 0.79}
    found = diagnosis(cosines, ["x", "y", "z"])
    assert found.under == 0
    assert len(found.warnings) == 1
    assert "guessing" in found.warnings[0]
    assert "likely false negatives" in found.warnings[0]


def test_positives_under_their_negatives_are_named_with_examples():
    found = diagnosis(EASY | {"better": 0.95}, ["better", "a", "b", "c"])
    assert found.under == 1
    assert "100% of the positives score under" in found.warnings[-1]
    assert "negative 'better' (0.950)" in found.warnings[-1]
    assert found.warnings[-1].count("\n") == 5
    assert diagnosis(EASY | {"better": 0.95}, ["better", "a"], under_share=1).under == 1


def test_an_encoder_that_cant_read_isnt_blamed_on_the_negatives():
    found = diagnosis({"p": 0.1, "a": 0.2, "b": 0.15, "c": 0.1, "d": 0.12}, ["a", "b", "c", "d"])
    assert "the wrong language" in found.warnings[0]
    assert "false negatives" not in found.warnings[0]


def test_scores_that_lie_close_together_ask_for_another_scale():
    cosines = {"p": 0.83, "a": 0.825, "b": 0.824, "c": 0.823, "d": 0.822}
    found = diagnosis(cosines, ["a", "b", "c", "d"])
    assert "larger scale than 20" in found.warnings[0]
    assert diagnosis(cosines, ["a", "b", "c", "d"], scale=1000).warnings == []


def test_nothing_to_look_at():
    dataset = dataset_of(EASY)
    assert diagnose(dataset, {}, Placed(EASY)) is None
    assert diagnose(dataset, {"0": []}, Placed(EASY)) is None


def test_a_sample_of_the_queries_is_looked_at():
    assert diagnosis(EASY, ["a"], diagnosed_queries=3).queries == 3


def test_the_likeliest_false_negative_is_named_first():
    rng = np.random.default_rng(0)
    query, side = np.eye(64)[0], np.eye(64)[1]
    documents = {"p": query + side, "twin": 0.8 * query + side, "alike": query - side, "far": -query}
    documents |= {f"random {number}": rng.standard_normal(64) for number in range(300)}
    unit = {name: vector / np.linalg.norm(vector) for name, vector in documents.items()}

    class Given(Placed):
        dim = 64

        def encode(self, texts, kind):
            return np.array([unit.get(text, query) for text in texts], dtype=np.float32)

    dataset = RetrievalDataset(
        queries={"q": "question"}, corpus={name: name for name in unit}, relevant_docs={"q": ["p"]}
    )
    found = diagnose(dataset, {"q": ["far", "alike", "twin"]}, Given({}))
    assert found.doubts[0].negative_id == "twin"
    assert found.suspect == pytest.approx(1 / 3)
    by_name = dict(
        zip(
            ["twin", "alike", "far"],
            suspicion(
                query,
                unit["p"][None],
                np.array([unit["twin"], unit["alike"], unit["far"]]),
                np.array([unit[f"random {number}"] for number in range(300)]),
            ),
            strict=True,
        )
    )
    assert by_name["twin"] > by_name["alike"] > by_name["far"]
