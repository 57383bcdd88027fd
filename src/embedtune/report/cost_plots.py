"""Quality against cost, as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

from markupsafe import Markup

from embedtune.report.catalogue import say
from embedtune.report.content import SystemCosts, SystemResult, Words
from embedtune.report.frame import WIDTH, Frame
from embedtune.report.svg import element, label, picture

__all__ = ["cost_plots"]

_FEWEST_SYSTEMS = 2
_LOGARITHMIC_FROM = 50
_UNITS: Mapping[str, Sequence[tuple[str, float]]] = {
    "train_seconds": (("s", 1), ("min", 60), ("h", 3600)),
    "documents_to_encode": (("", 1),),
    "query_milliseconds": (("ms", 1), ("s", 1000)),
    "size_bytes": (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)),
}
_LONGEST_NAME = 18
_LETTER, _LINE = 6.3, 13


def cost_plots(systems: Sequence[SystemResult], measure: str) -> list[Markup]:
    """Returns a plot for each cost that is known of at least two systems and differs between them."""
    found = []
    for cost in (field.name for field in fields(SystemCosts)):
        known = [system for system in systems if getattr(system.costs, cost) is not None]
        if len({getattr(system.costs, cost) for system in known}) >= _FEWEST_SYSTEMS:
            found.append(_cost_plot(known, cost, measure))
    return found


def _cost_plot(systems: Sequence[SystemResult], cost: str, measure: str) -> Markup:
    raw = [float(getattr(system.costs, cost)) for system in systems]
    unit, worth = _unit(cost, max(raw))
    costs = [value / worth for value in raw]
    ends = [(value, end) for value, system in zip(costs, systems, strict=True) for end in system.interval]
    smallest = min(value for value in costs if value > 0)
    frame = Frame.around(ends, logarithmic_x=max(costs) > _LOGARITHMIC_FROM * smallest)
    name = say(f"cost.{cost}", unit=f" ({unit})" if unit else "")
    parts = list(frame.axes(name, Words(measure, measure)))
    names = _Names()
    for value, system in sorted(zip(costs, systems, strict=True), key=lambda pair: -pair[1].means[measure]):
        x, y = frame.x(value), frame.y(system.means[measure])
        low, high = (frame.y(end) for end in system.interval)
        parts.append(element("line", x1=x, x2=x, y1=low, y2=high, class_="whisker thin"))
        parts.append(element("circle", cx=x, cy=y, r=4.5, class_="dot"))
        parts.append(names.beside(system.name, x, y))
    title = Words(*(f"{one}: {other}" for one, other in zip(say("plot.cost", measure=measure), name, strict=True)))
    return picture(frame.width, frame.height, title, parts)


def _unit(cost: str, largest: float) -> tuple[str, float]:
    """Returns the largest unit of which there are at least two, and what it is worth."""
    units = _UNITS[cost]
    return next((unit for unit in reversed(units) if largest >= 2 * unit[1]), units[0])


class _Names:
    """Puts names beside their dots, each on a line of its own."""

    def __init__(self) -> None:
        self.taken: list[tuple[float, float, float]] = []

    def beside(self, name: str, x: float, y: float) -> Markup:
        """Returns the name to the right of x, to the left where it would leave the plot, lower where one stands."""
        shown = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        width = len(shown) * _LETTER
        right = x + 9 + width <= WIDTH
        start = x + 9 if right else x - 9 - width
        height = y + 4
        while any(abs(height - at) < _LINE and start < end and begin < start + width for begin, end, at in self.taken):
            height += _LINE / 2
        self.taken.append((start, start + width, height))
        return label(shown, x + 9 if right else x - 9, height, "start" if right else "end", "t name")
