"""What the template needs besides the content: which parts there are, common scales, numbers as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from embedtune.report.catalogue import say
from embedtune.report.content import GuardResult, ReportContent, SystemCosts, SystemResult, TrainingCurve, Words

__all__ = ["Parts", "cost_columns", "cost_value", "guard_outcome", "kept_words", "number"]

_SIDE_MEASURES = ("ndcg_at_10", "recall_at_10", "mrr_at_10", "map_at_10")
_SHOWN_BESIDE = 2
_SIGNIFICANCE = 0.05
_MINUS = "\N{MINUS SIGN}"

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Parts:
    """Answers about one page's content."""

    content: ReportContent

    def names(self) -> list[str]:
        """Returns the parts that have something to show, in the page's order."""
        content = self.content
        there = {
            "systems": True,
            "costs": tells_costs_apart(content.systems),
            "training": bool(content.curves),
            "guards": bool(content.guards),
            "dataset": content.dataset is not None,
            "mining": content.mining is not None,
            "queries": content.explorer is not None,
        }
        return [name for name, shown in there.items() if shown]

    def measures(self) -> list[str]:
        """Returns every measure that a system has, in the first one's order."""
        return list(dict.fromkeys(measure for system in self.content.systems for measure in system.means))

    def side_measures(self) -> list[str]:
        """Returns the measures that stand beside the main one."""
        others = [name for name in _SIDE_MEASURES if name != self.content.measure and name in self.measures()]
        return [name for name in others if all(name in system.means for system in self.content.systems)][:_SHOWN_BESIDE]

    def mean_bounds(self) -> Bounds:
        """Returns the range that holds every system's interval."""
        return _around([end for system in self.content.systems for end in system.interval])

    def difference_bounds(self) -> Bounds:
        """Returns the range that holds zero and every difference's interval."""
        differences = [system.against for system in self.content.systems if system.against is not None]
        return _around([0.0, *(end for difference in differences for end in difference.interval)])

    def guard_bounds(self) -> Bounds:
        """Returns the same for the guards."""
        return _around([0.0, *(end for guard in self.content.guards for end in guard.difference.interval)])

    def choice_bounds(self) -> Bounds:
        """Returns the same for what the choice was made by."""
        return _around([0.0, *(end for one in self.content.choice for end in one.interval or ())])


def _around(values: Sequence[float]) -> Bounds:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.01, high + 0.01)


def number(value: float, sign: str = "") -> str:
    """Returns four decimals, with a sign where `sign` is "+"."""
    return f"{value:{sign}.4f}".replace("-", _MINUS)


def tells_costs_apart(systems: Sequence[SystemResult]) -> bool:
    """Returns whether systems differ in a cost that is known of at least two."""
    costs = [[getattr(system.costs, field.name) for system in systems] for field in fields(SystemCosts)]
    return any(len({value for value in values if value is not None}) > 1 for values in costs)


def cost_columns(systems: Sequence[SystemResult]) -> list[tuple[str, str]]:
    """Returns the costs that were measured of any system, each with its unit for a heading."""
    units = {"train_seconds": " (s)", "query_milliseconds": " (ms)", "size_bytes": " (MB)"}
    names = [field.name for field in fields(SystemCosts)]
    return [
        (name, units.get(name, ""))
        for name in names
        if any(getattr(system.costs, name) is not None for system in systems)
    ]


def cost_value(costs: SystemCosts, name: str) -> str | None:
    """Returns a cost in the unit of its heading; None where it wasn't measured."""
    value = getattr(costs, name)
    if value is None:
        return None
    if name == "size_bytes":
        return f"{value / 1e6:,.1f}"
    return f"{value:,}" if name == "documents_to_encode" else f"{value:,.1f}"


def guard_outcome(guard: GuardResult) -> tuple[str, str]:
    """Returns the word for what happened to a guard, and whether it is a gain, a loss or neither."""
    if guard.passed is not None:
        return ("passed", "") if guard.passed else ("failed", "loss")
    if guard.difference.p >= _SIGNIFICANCE:
        return "open", ""
    return ("better", "gain") if guard.difference.mean > 0 else ("worse", "loss")


def kept_words(curve: TrainingCurve) -> Words:
    """Returns which checkpoint was kept, and what it scored beside the base."""
    base = curve.points[0]
    chosen = next(point for point in curve.points if point.step == curve.chosen_step)
    key = "training.kept_base" if chosen.step == base.step else "training.kept"
    return say(
        key,
        name=curve.name,
        method=curve.method,
        step=chosen.step,
        measure=curve.measure,
        score=chosen.score,
        base=base.score,
    )
