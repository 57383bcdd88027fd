"""What to do, from the systems' results and the guards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from embedtune.data.checks.finding import Finding
from embedtune.evaluate.comparison import CompareOptions, Difference, compare
from embedtune.evaluate.evaluation import Evaluation
from embedtune.report.catalogue import say
from embedtune.report.content import Decision, GuardResult, SystemResult, Tone, Words

__all__ = ["decide"]

_SIGNIFICANCE = 0.05
_POINTS = "2"
_SEEN_IN_TRAINING = (
    "query-in-two-splits",
    "leaked-queries",
    "nearly-leaked-queries",
    "documents-shared-by-splits",
    "near-documents-shared-by-splits",
)


def decide(
    evaluations: Mapping[str, Evaluation],
    systems: Sequence[SystemResult],
    *,
    proposed: str,
    guards: Sequence[GuardResult] = (),
    findings: Sequence[Finding] = (),
    options: CompareOptions | None = None,
) -> Decision:
    """Returns whether to use the proposed system in place of the first.

    Nothing is chosen here by its scores: the caller names what is proposed. Another system is only
    mentioned where it is better than the one to be used, by Holm's correction of p for their number.
    `findings` of the dataset's checks are a reason for doubt where they flatter what was tuned on it.
    """
    options = options or CompareOptions()
    base = systems[0]
    system = next(result for result in systems if result.name == proposed)
    if system.against is None:
        return Decision("keep", say("decision.alone", system=base.name), [_level(base, options.measure)])
    tone: Tone
    change = _shown(system.against) and system.against.mean > 0
    reasons = [_difference(base, system, system.against, options.measure), _wins(system, base)]
    if not _shown(system.against):
        reasons += _needed(evaluations[base.name], evaluations[proposed], options)
    reasons += [_guard(guard) for guard in guards]
    rivals = [name for name in evaluations if name not in (base.name, proposed)]
    reasons += _better(system.name if change else base.name, rivals, evaluations, options)
    harmed = ", ".join(guard.name for guard in guards if _harmed(guard))
    if change:
        reasons += _flattered(findings)
        tone, key = ("warn", "decision.harms") if harmed else ("change", "decision.use")
    else:
        tone, key = "keep", "decision.worse" if _shown(system.against) else "decision.keep"
    return Decision(tone, say(key, system=system.name, base=base.name, guards=harmed), reasons)


def _shown(difference: Difference) -> bool:
    return difference.p < _SIGNIFICANCE


def _harmed(guard: GuardResult) -> bool:
    """What a gate said counts; without one, a loss that luck hardly explains."""
    if guard.passed is not None:
        return not guard.passed
    return _shown(guard.difference) and guard.difference.mean < 0


def _level(base: SystemResult, measure: str) -> Words:
    low, high = base.interval
    return say("reason.level", measure=measure, mean=base.means[measure], low=low, high=high)


def _difference(base: SystemResult, system: SystemResult, difference: Difference, measure: str) -> Words:
    low, high = difference.interval
    return say(
        "reason.difference",
        measure=measure,
        base=base.name,
        system=system.name,
        a=difference.mean_a,
        b=difference.mean_b,
        difference=difference.mean,
        low=low,
        high=high,
        p=difference.p,
    )


def _wins(system: SystemResult, base: SystemResult) -> Words:
    return say(
        "reason.wins",
        system=system.name,
        base=base.name,
        wins=system.wins,
        losses=system.losses,
        ties=system.ties,
    )


def _needed(a: Evaluation, b: Evaluation, options: CompareOptions) -> list[Words]:
    needed = compare(a, b, options).queries_needed.get(_POINTS)
    asked = len(a.scores.query_ids)
    return [] if needed is None else [say("reason.needed", points=_POINTS, needed=needed, queries=asked)]


def _guard(guard: GuardResult) -> Words:
    key = "reason.guard_harmed" if _harmed(guard) else "reason.guard"
    low, high = guard.difference.interval
    return say(key, guard=guard.name, difference=guard.difference.mean, low=low, high=high, queries=guard.queries)


def _flattered(findings: Sequence[Finding]) -> list[Words]:
    """Returns a sentence where test queries, or the documents that answer them, were trained on."""
    codes = [finding.code for finding in findings if finding.code in _SEEN_IN_TRAINING]
    if not codes:
        return []
    names = [say(f"check.{code}") for code in codes]
    english, chinese = ", ".join(name.en for name in names), "、".join(name.zh for name in names)
    return [Words(say("reason.seen", findings=english).en, say("reason.seen", findings=chinese).zh)]


def _better(
    used: str, rivals: Sequence[str], evaluations: Mapping[str, Evaluation], options: CompareOptions
) -> list[Words]:
    """Returns a sentence for each rival that is better; see Holm 1979 (https://www.jstor.org/stable/4615733)."""
    found = [(compare(evaluations[used], evaluations[name], options).main, name) for name in rivals]
    said = []
    for place, (difference, name) in enumerate(sorted(found, key=lambda one: one[0].p)):
        if difference.p * (len(found) - place) >= _SIGNIFICANCE:
            break
        if difference.mean > 0:
            said.append(say("reason.better", rival=name, used=used, difference=difference.mean, p=difference.p))
    return said
