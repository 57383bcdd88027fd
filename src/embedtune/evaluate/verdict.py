"""Whether a model may replace its base: a gain that is shown, and guards that are kept (design/0005-guards.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from embedtune.evaluate.comparison import CompareOptions, compare, paired_differences, queries_needed
from embedtune.evaluate.evaluation import Evaluation
from embedtune.evaluate.guard_options import GuardOptions
from embedtune.evaluate.resampling import bootstrap_quantiles
from embedtune.evaluate.trial import Measured

__all__ = ["Gain", "GuardVerdict", "Verdict", "judge", "judge_guard"]

_ONE_SIDED = 0.05
_ROUNDING = 1e-9
_BLIND = 0.05
"""Under this score a base has nothing on a guard that could be lost."""


@dataclass(frozen=True)
class Gain:
    """What the tuned model gains on the split, with the 95 % interval."""

    queries: int
    base: float
    tuned: float
    mean: float
    interval: tuple[float, float]
    shown: bool
    queries_needed: int | None

    def words(self, measure: str, split: str) -> str:
        """Returns the gain in a line."""
        low, high = self.interval
        line = (
            f"{split}, {self.queries} queries: {measure} {self.base:.4f} → {self.tuned:.4f}, "
            f"{_signed(self.mean)} points (95 % interval {_signed(low)} … {_signed(high)})"
        )
        if self.shown:
            return f"{line}: a gain"
        if high < 0:
            return f"{line}: a loss"
        more = f"; {self.queries_needed:,} queries would show a gain of this size" if self.queries_needed else ""
        return f"{line}: no gain shown{more}"


@dataclass(frozen=True)
class GuardVerdict:
    """What a guard loses; `bounds` are the one-sided 95 % bounds of the loss, lower and upper."""

    name: str
    queries: int
    base: float
    tuned: float
    loss: float
    bounds: tuple[float, float]
    allowed: float
    kept: bool
    unchanged: bool
    queries_needed: int | None

    def words(self, measure: str) -> str:
        """Returns the guard's fate in a line."""
        line = f"guard {self.name}, {self.queries} queries: {measure} {self.base:.4f} → {self.tuned:.4f}, "
        if self.unchanged:
            return f"{line}no query's score changed: kept"
        bound = self.bounds[1]
        sure = f"a loss of at most {100 * bound:.2f}" if bound > 0 else f"a gain of at least {-100 * bound:.2f}"
        line += f"{_signed(-self.loss)} points (with 95 % confidence {sure}; allowed loss {100 * self.allowed:.2f})"
        return f"{line}: {self._fate()}"

    def _fate(self) -> str:
        """Returns whether the guard is kept, and how sure that is."""
        least, most = self.bounds
        if self.kept:
            if self.loss > self.allowed:
                return "kept, since a loss over the limit isn't shown"
            return "kept" if most <= self.allowed else "kept, as measured; the loss may be larger"
        if self.loss <= self.allowed:
            return "not safe: within the limit as measured, but the bound isn't"
        if least > self.allowed:
            return "lost"
        if least > 0:
            return "lost; that it is over the limit isn't certain"
        more = f"; {self.queries_needed:,} queries would tell" if self.queries_needed else ""
        return f"lost as measured, though it could be luck{more}"


@dataclass(frozen=True)
class Verdict:
    """Whether the gate lets a model pass; `reasons` say why not, and are empty where it passes."""

    measure: str
    split: str
    gain: Gain
    guards: Sequence[GuardVerdict]
    warnings: Sequence[str]

    @property
    def reasons(self) -> list[str]:
        """Returns what stands against the model."""
        against = [] if self.gain.shown else [self.gain.words(self.measure, self.split)]
        return against + [guard.words(self.measure) for guard in self.guards if not guard.kept]

    @property
    def passed(self) -> bool:
        """Returns whether nothing does."""
        return not self.reasons

    @property
    def guards_kept(self) -> bool:
        """Returns whether no guard loses more than allowed."""
        return all(guard.kept for guard in self.guards)

    def lines(self) -> list[str]:
        """Returns the verdict in words: the gain, each guard, and what follows."""
        found = [self.gain.words(self.measure, self.split), *(guard.words(self.measure) for guard in self.guards)]
        return [*found, "passed" if self.passed else "refused: keep the base, or see docs/guards.md for what helps"]

    def to_json(self) -> dict[str, Any]:
        """Returns the verdict as JSON values."""
        return asdict(self) | {"passed": self.passed, "reasons": self.reasons}


def judge(base: Measured, tuned: Measured, split: str, options: GuardOptions) -> Verdict:
    """Returns the verdict on a tuned model against its base, both asked in the same trial."""
    guards = [judge_guard(name, base.guards[name], tuned.guards[name], options) for name in base.guards]
    warnings = [
        f"the base scores {guard.base:.4f} on the guard {guard.name!r}, so it has nothing to lose there: a guard must "
        "be something that the base can do, in a language that it knows"
        for guard in guards
        if guard.base < _BLIND
    ]
    return Verdict(options.measure, split, _gain(base.target, tuned.target, options), guards, warnings)


def judge_guard(name: str, base: Evaluation, tuned: Evaluation, options: GuardOptions) -> GuardVerdict:
    """Returns a guard's verdict by the test that `options` name."""
    comparison = compare(base, tuned, _comparing(options))
    losses = -paired_differences(base, tuned, options.measure)
    tails = bootstrap_quantiles(losses[:, None], [_ONE_SIDED, 1 - _ONE_SIDED], options.resamples, options.seed)
    least, most = (float(tail) for tail in tails[:, 0])
    loss = float(losses.mean())
    decisive = {"measured": loss, "safe": max(loss, most), "harm": least}[options.guard_test]
    return GuardVerdict(
        name=name,
        queries=comparison.queries,
        base=comparison.main.mean_a,
        tuned=comparison.main.mean_b,
        loss=loss,
        bounds=(least, most),
        allowed=options.max_guard_loss,
        kept=decisive <= options.max_guard_loss + _ROUNDING,
        unchanged=not losses.any(),
        queries_needed=_needed(comparison.standard_deviation, loss),
    )


def _gain(base: Evaluation, tuned: Evaluation, options: GuardOptions) -> Gain:
    comparison = compare(base, tuned, _comparing(options))
    main = comparison.main
    return Gain(
        queries=comparison.queries,
        base=main.mean_a,
        tuned=main.mean_b,
        mean=main.mean,
        interval=main.interval,
        shown=main.interval[0] > 0,
        queries_needed=_needed(comparison.standard_deviation, main.mean),
    )


def _comparing(options: GuardOptions) -> CompareOptions:
    return CompareOptions(measure=options.measure, resamples=options.resamples, seed=options.seed, moved=0)


def _needed(standard_deviation: float, difference: float) -> int | None:
    """Returns how many queries would show a difference of that size; None where there is none."""
    if math.isnan(standard_deviation) or difference <= 0:
        return None
    return queries_needed(standard_deviation, difference)


def _signed(share: float) -> str:
    """Returns a share of 1 in points, with its sign."""
    return f"{100 * share:+.2f}"
