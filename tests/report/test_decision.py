from __future__ import annotations

import numpy as np
import pytest

from embedtune.data.checks import Finding
from embedtune.evaluate.comparison import CompareOptions, compare
from embedtune.evaluate.evaluation import Evaluation
from embedtune.evaluate.scores import Scores
from embedtune.report.decision import decide
from embedtune.report.systems import guard_result, system_results
from embedtune.search.run import Run

QUICK = CompareOptions(resamples=2000)
QUERIES = tuple(f"q{number}" for number in range(200))
LEVEL = np.random.default_rng(0).uniform(0.3, 0.6, len(QUERIES))
NOISE = np.random.default_rng(1).normal(0, 0.1, len(QUERIES))
NOISE -= NOISE.mean()


def evaluation(shift):
    """Every query's score moved by a shift, and by noise that doesn't change the mean."""
    values = LEVEL + (shift + NOISE if shift else 0)
    return Evaluation(Scores(QUERIES, {"ndcg_at_10": values}), Run({}), dict.fromkeys(QUERIES, "text"), "same")


def decided(proposed="tuned", guards=(), findings=(), **shifts):
    evaluations = {name: evaluation(shift) for name, shift in shifts.items()}
    systems = system_results(evaluations, QUICK)
    return decide(evaluations, systems, proposed=proposed, guards=guards, findings=findings, options=QUICK)


def guard(shift, allowed_loss=None):
    return guard_result("news", compare(evaluation(0), evaluation(shift), QUICK), allowed_loss)


def test_a_gain_is_used():
    decision = decided(base=0, tuned=0.05)
    assert decision.tone == "change"
    assert decision.headline == ("Use tuned: it is better than base", "改用 tuned：优于 base")
    assert "+0.0500" in decision.reasons[0].en
    assert len(decision.reasons) == 2


def test_what_flatters_a_gain_is_said():
    shared = Finding("note", "documents-shared-by-splits", "202 documents are relevant to …")
    flattered = decided(findings=[shared, Finding("note", "languages", "…")], base=0, tuned=0.05)
    assert flattered.tone == "change"
    assert "documents shared by splits. On what" in flattered.reasons[-1].en
    assert "划分之间共用文档。" in flattered.reasons[-1].zh
    assert len(decided(findings=[shared], base=0, tuned=-0.05).reasons) == 2


def test_what_luck_explains_is_not():
    decision = decided(base=0, tuned=0.001)
    assert decision.tone == "keep"
    assert decision.headline.en == "Keep base: no gain from tuned is shown"
    needed = compare(evaluation(0), evaluation(0.001), QUICK).queries_needed["2"]
    assert f"{needed:,} to show a difference of 2 points" in decision.reasons[2].en
    assert f"约需 {needed:,} 个" in decision.reasons[2].zh


def test_a_loss_is_named():
    decision = decided(base=0, tuned=-0.05)
    assert decision.tone == "keep"
    assert decision.headline.en == "Keep base: tuned is worse"
    assert "\N{MINUS SIGN}0.0500" in decision.reasons[0].zh


def test_one_system_is_only_measured():
    decision = decided(proposed="base", base=0)
    assert decision.tone == "keep"
    assert f"{LEVEL.mean():.4f}" in decision.reasons[0].en


@pytest.mark.parametrize(
    ("shift", "allowed", "tone"),
    [(-0.05, None, "warn"), (-0.001, None, "change"), (-0.05, 0.06, "change"), (-0.05, 0.04, "warn")],
)
def test_a_guard_that_loses_warns(shift, allowed, tone):
    decision = decided(guards=[guard(shift, allowed)], base=0, tuned=0.05)
    assert decision.tone == tone
    assert ("worse on news" in decision.headline.en) == (tone == "warn")
    assert decision.reasons[2].en.startswith("It loses on" if tone == "warn" else "On the guard news")


def test_a_better_rival_is_mentioned_and_never_chosen():
    decision = decided(proposed="tuned", base=0, hybrid=0.15, weak=-0.1, tuned=0.05)
    assert decision.headline.en.startswith("Use tuned")
    assert [reason.en.split(" is better")[0] for reason in decision.reasons[2:]] == ["hybrid"]


def test_rivals_are_corrected_for_their_number():
    p = compare(evaluation(0), evaluation(0.016), QUICK).main.p
    assert 0.01 < p < 0.05
    one = decided(proposed="tuned", base=0, rival=0.016, tuned=-0.05)
    many = {f"r{number}": 0.0005 for number in range(4)}
    several = decided(proposed="tuned", base=0, rival=0.016, tuned=-0.05, **many)
    assert "rival is better than base" in one.reasons[-1].en
    assert not [reason for reason in several.reasons if "rival" in reason.en]
