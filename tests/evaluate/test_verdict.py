from __future__ import annotations

import math

import numpy as np
import pytest

from embedtune.errors import OptionsError
from embedtune.evaluate.evaluation import Evaluation
from embedtune.evaluate.guard_options import GuardOptions
from embedtune.evaluate.scores import Scores
from embedtune.evaluate.trial import Measured
from embedtune.evaluate.verdict import judge, judge_guard
from embedtune.search.run import Run


def evaluation(values):
    names = tuple(str(number) for number in range(len(values)))
    texts = {name: f"query {name}" for name in names}
    return Evaluation(Scores(names, {"ndcg_at_10": np.array(values, dtype=np.float64)}), Run({}), texts, "same")


def spread_around(mean, deviation, queries, seed=0):
    """Differences with exactly this mean and standard deviation."""
    drawn = np.random.default_rng(seed).standard_normal(queries)
    return mean + deviation * (drawn - drawn.mean()) / drawn.std(ddof=1)


def verdict_on_guard(differences, **options):
    base = np.full(len(differences), 0.5)
    changes = {"resamples": 500} | options
    return judge_guard("g", evaluation(base), evaluation(base + differences), GuardOptions(**changes))


def test_the_mean_loss_is_what_counts():
    assert verdict_on_guard(spread_around(-0.005, 0.13, 300)).kept
    assert not verdict_on_guard(spread_around(-0.0051, 0.13, 300)).kept
    assert verdict_on_guard(spread_around(-0.0051, 0.13, 300), max_guard_loss=0.01).kept
    assert verdict_on_guard(spread_around(0.2, 0.13, 300)).kept
    assert not verdict_on_guard(spread_around(-0.0001, 0.0, 300), max_guard_loss=0).kept


def test_safe_wants_the_bound_within_the_limit():
    """1.645 · 0.13 / √300 is 1.2 points, more than the limit; with 3,000 queries it is 0.4."""
    assert not verdict_on_guard(spread_around(0.0, 0.13, 300), guard_test="safe").kept
    assert verdict_on_guard(spread_around(0.0, 0.13, 3000), guard_test="safe").kept
    assert not verdict_on_guard(spread_around(-0.004, 0.13, 3000), guard_test="safe").kept


def test_harm_wants_a_loss_shown_over_the_limit():
    assert verdict_on_guard(spread_around(-0.016, 0.13, 300), guard_test="harm").kept
    assert not verdict_on_guard(spread_around(-0.02, 0.13, 300), guard_test="harm").kept


def test_bounds_are_one_sided_and_agree_with_the_normal_ones():
    guard = verdict_on_guard(spread_around(-0.02, 0.13, 300), resamples=20_000)
    half = 1.645 * 0.13 / math.sqrt(300)
    assert guard.bounds == pytest.approx((0.02 - half, 0.02 + half), abs=1e-3)


def test_words_say_how_sure_it_is():
    def said(differences, **options):
        return verdict_on_guard(differences, **options).words("ndcg_at_10")

    assert "no query's score changed: kept" in said(np.zeros(50))
    assert said(spread_around(0.05, 0.1, 300)).endswith(": kept")
    assert "with 95 % confidence a gain of at least 4." in said(spread_around(0.05, 0.1, 300))
    assert "a loss of at most 1.2" in said(spread_around(0.0, 0.13, 300))
    assert "allowed loss 0.50): kept, as measured; the loss may be larger" in said(spread_around(0.0, 0.13, 300))
    assert "not safe: within the limit as measured" in said(spread_around(0.0, 0.13, 300), guard_test="safe")
    assert "kept, since a loss over the limit isn't shown" in said(spread_around(-0.016, 0.13, 300), guard_test="harm")
    assert "lost as measured, though it could be luck; " in said(spread_around(-0.006, 0.13, 300))
    assert "3,685 queries would tell" in said(spread_around(-0.006, 0.13, 300))
    assert "lost; that it is over the limit isn't certain" in said(spread_around(-0.016, 0.13, 300))
    assert said(spread_around(-0.05, 0.13, 300)).endswith(": lost")


def judged(gain, guards, **options):
    base = Measured(
        evaluation(np.full(len(gain), 0.4)), {name: evaluation(level) for name, (level, _) in guards.items()}
    )
    tuned_guards = {name: evaluation(level + change) for name, (level, change) in guards.items()}
    tuned = Measured(evaluation(0.4 + gain), tuned_guards)
    return judge(base, tuned, "val", GuardOptions(**{"resamples": 500} | options))


LEVEL = np.full(200, 0.6)


def test_a_shown_gain_and_kept_guards_pass():
    verdict = judged(spread_around(0.05, 0.2, 200), {"one": (LEVEL, np.zeros(200)), "two": (LEVEL, LEVEL * 0.01)})
    assert verdict.passed
    assert verdict.reasons == []
    assert verdict.lines()[-1] == "passed"
    assert "val, 200 queries: ndcg_at_10 0.4000 → 0.4500, +5.00 points" in verdict.lines()[0]


def test_every_reason_is_given():
    verdict = judged(spread_around(0.001, 0.2, 200), {"one": (LEVEL, -LEVEL * 0.1), "two": (LEVEL, -LEVEL * 0.2)})
    assert not verdict.passed
    assert [reason.split(",")[0] for reason in verdict.reasons] == ["val", "guard one", "guard two"]
    assert "no gain shown; 313,956 queries would show a gain of this size" in verdict.reasons[0]
    assert verdict.lines()[-1].startswith("refused")
    assert verdict.to_json()["passed"] is False
    assert "a loss" in judged(spread_around(-0.1, 0.1, 200), {}).reasons[0]


def test_a_guard_that_the_base_cannot_do_is_pointed_out():
    verdict = judged(spread_around(0.05, 0.2, 200), {"其他语言": (np.full(100, 0.01), np.zeros(100))})
    assert verdict.passed
    assert "the base scores 0.0100 on the guard '其他语言', so it has nothing to lose there" in verdict.warnings[0]


def test_one_query_proves_nothing_and_breaks_nothing():
    verdict = judged(np.array([0.0]), {"one": (np.array([1.0]), np.array([-0.5]))})
    assert [reason.split(",")[0] for reason in verdict.reasons] == ["val", "guard one"]


def test_an_unknown_measure_is_named():
    with pytest.raises(OptionsError, match="unknown measure 'ndcg_at_11'"):
        judged(np.zeros(3), {}, measure="ndcg_at_11")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("test", "loss", "passes"),
    [
        ("measured", 0.0, (0.65, 0.85)),
        ("measured", 0.02, (0.0, 0.08)),
        ("safe", 0.0, (0.07, 0.28)),
        ("harm", 0.02, (0.27, 0.50)),
    ],
)
def test_how_often_each_rule_passes_a_guard_of_300_queries(test, loss, passes):
    """The table of design/0005-guards.md: 0.75, 0.02, 0.16 and 0.36 by the normal distribution."""
    generator = np.random.default_rng(1)
    options = {"guard_test": test, "resamples": 200}
    found = [verdict_on_guard(generator.normal(-loss, 0.13, 300), **options).kept for _ in range(200)]
    assert passes[0] <= np.mean(found) <= passes[1]
