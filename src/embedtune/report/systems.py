"""Evaluations → the systems of the table."""

from __future__ import annotations

from collections.abc import Mapping

from embedtune.errors import OptionsError
from embedtune.evaluate.comparison import CompareOptions, Comparison, compare
from embedtune.evaluate.evaluation import Evaluation
from embedtune.evaluate.resampling import bootstrap_quantiles
from embedtune.report.content import GuardResult, SystemCosts, SystemResult

__all__ = ["guard_result", "system_results"]

_TAILS = (0.025, 0.975)


def system_results(
    evaluations: Mapping[str, Evaluation],
    options: CompareOptions | None = None,
    *,
    costs: Mapping[str, SystemCosts] | None = None,
    made_by: Mapping[str, str] | None = None,
) -> list[SystemResult]:
    """Returns one result an evaluation, in their order; every other one is compared with the first.

    Raises EvaluationError where queries or judgements differ.
    """
    options = options or CompareOptions()
    if not evaluations:
        raise OptionsError("there is no evaluation to report", remedy="name at least one that eval --out wrote")
    baseline = next(iter(evaluations))
    results = []
    for name, evaluation in evaluations.items():
        against = None if name == baseline else compare(evaluations[baseline], evaluation, options)
        results.append(
            SystemResult(
                name=name,
                means=evaluation.scores.means(),
                interval=_interval(evaluation, options),
                against=None if against is None else against.main,
                wins=0 if against is None else against.wins,
                ties=0 if against is None else against.ties,
                losses=0 if against is None else against.losses,
                costs=(costs or {}).get(name, SystemCosts()),
                made_by=(made_by or {}).get(name, ""),
            )
        )
    return results


def guard_result(name: str, comparison: Comparison, allowed_loss: float | None = None) -> GuardResult:
    """Returns what a comparison of the base with the tuned says about a guard; it passes unless a loss is too large."""
    passed = None if allowed_loss is None else comparison.main.mean >= -allowed_loss
    return GuardResult(name, comparison.queries, comparison.main, allowed_loss, passed)


def _interval(evaluation: Evaluation, options: CompareOptions) -> tuple[float, float]:
    values = evaluation.scores.values.get(options.measure)
    if values is None:
        known = ", ".join(evaluation.scores.values)
        raise OptionsError(f"the evaluation has no {options.measure}, only {known}", remedy="name one of them")
    low, high = bootstrap_quantiles(values[:, None], _TAILS, options.resamples, options.seed)[:, 0]
    return float(low), float(high)
