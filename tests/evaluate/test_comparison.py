from __future__ import annotations

import math

import numpy as np
import pytest

from embedtune.errors import EvaluationError, OptionsError
from embedtune.evaluate.comparison import CompareOptions, compare, queries_needed
from embedtune.evaluate.evaluation import Evaluation
from embedtune.evaluate.scores import Scores
from embedtune.search.run import Run


def evaluation(values, judgements="same"):
    ids = tuple(f"q{i}" for i in range(len(values)))
    scores = Scores(ids, {"ndcg_at_10": np.array(values, dtype=float)})
    return Evaluation(scores, Run({}), {query_id: f"text of {query_id}" for query_id in ids}, judgements)


def test_by_hand():
    comparison = compare(evaluation([0.1, 0.5, 0.9, 0.3]), evaluation([0.4, 0.5, 0.7, 0.8]))
    assert comparison.main.mean == pytest.approx(0.15)
    assert (comparison.wins, comparison.ties, comparison.losses) == (2, 1, 1)
    assert [query.query_id for query in comparison.gained] == ["q3", "q0"]
    assert [query.query_id for query in comparison.lost] == ["q2"]
    assert comparison.gained[0].text == "text of q3"
    assert comparison.standard_deviation == pytest.approx(np.std([0.3, 0, -0.2, 0.5], ddof=1))


def test_p_is_the_exact_one_where_all_sign_flips_can_be_counted():
    deltas = np.array([0.3, 0.1, -0.05, 0.2, 0.25, 0.15])
    flips = np.array([[1 if bits >> i & 1 else -1 for i in range(6)] for bits in range(64)])
    exact = (np.abs(flips @ deltas) >= abs(deltas.sum()) - 1e-12).mean()
    comparison = compare(evaluation(np.zeros(6)), evaluation(deltas), CompareOptions(resamples=100_000))
    assert comparison.main.p == pytest.approx(exact, abs=0.005)


def test_the_interval_covers_the_truth_about_95_times_in_100():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        base = generator.random(100)
        shifted = base + generator.normal(0.02, 0.2, size=100)
        low, high = compare(evaluation(base), evaluation(shifted), CompareOptions(resamples=400)).main.interval
        covered += low <= 0.02 <= high
    assert 180 <= covered <= 199


def test_p_is_uniform_where_there_is_no_difference():
    generator = np.random.default_rng(1)
    small = sum(
        compare(
            evaluation(np.zeros(40)), evaluation(generator.normal(0, 0.2, size=40)), CompareOptions(resamples=200)
        ).main.p
        < 0.05
        for _ in range(200)
    )
    assert 2 <= small <= 20


def test_equal_evaluations():
    comparison = compare(evaluation([0.5, 1.0]), evaluation([0.5, 1.0]))
    assert comparison.main.mean == 0
    assert comparison.main.p == 1
    assert comparison.ties == 2
    assert comparison.gained == comparison.lost == []
    assert "no difference shown" in comparison.verdict("A", "B")


def test_one_query_has_no_spread():
    comparison = compare(evaluation([0.5]), evaluation([1.0]))
    assert math.isnan(comparison.standard_deviation)
    assert comparison.queries_needed == {}


@pytest.mark.parametrize(
    ("deviation", "difference", "published"),
    [(0.15, 0.02, 441), (0.20, 0.02, 784), (0.25, 0.02, 1225), (0.25, 0.01, 4900)],
)
def test_queries_needed_are_the_textbooks(deviation, difference, published):
    """The published figures use z rounded to 2.80; ours is 2.8016."""
    assert queries_needed(deviation, difference) == pytest.approx(published, rel=0.0025)


def test_queries_needed_have_the_power_they_promise():
    generator = np.random.default_rng(2)
    queries = queries_needed(0.2, 0.05)
    found = sum(
        compare(
            evaluation(np.zeros(queries)),
            evaluation(generator.normal(0.05, 0.2, size=queries)),
            CompareOptions(resamples=400),
        ).main.p
        < 0.05
        for _ in range(150)
    )
    assert 0.7 <= found / 150 <= 0.9


def test_different_queries_judgements_and_measures():
    with pytest.raises(EvaluationError, match=r"1 only in A .*'q2'"):
        compare(evaluation([1, 1, 1]), evaluation([1, 1]))
    with pytest.raises(EvaluationError, match="judged the same queries differently"):
        compare(evaluation([1]), evaluation([1], judgements="other"))
    with pytest.raises(OptionsError, match=r"did you mean 'ndcg_at_10'\?"):
        compare(evaluation([1]), evaluation([1]), CompareOptions(measure="ndcg_at_1"))
