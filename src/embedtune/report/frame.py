"""The frame of a plot: where values stand on it, its axes with round ticks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from embedtune.report.content import Words
from embedtune.report.svg import Scale, element, label, linear, logarithmic, ticks, words_label

__all__ = ["HEIGHT", "WIDTH", "Frame"]

WIDTH, HEIGHT = 340, 230
"""In pixels, so that letters are as large as the page's; a phone has room for one plot a row."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 14, 26, 40
_DOT = 10
_DECADES = (0, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)


@dataclass(frozen=True)
class Frame:
    """Maps values to pixels; `x_ticks` and `y_ticks` are values."""

    x: Scale
    y: Scale
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]

    left, right, bottom, top = _LEFT, WIDTH - _RIGHT, HEIGHT - _BOTTOM, _TOP
    width, height = WIDTH, HEIGHT

    @classmethod
    def around(cls, points: Sequence[tuple[float, float]], *, logarithmic_x: bool = False) -> Frame:
        """Returns a frame in which all points have room; x starts at 0 where that is near."""
        xs, ys = [x for x, _ in points], [y for _, y in points]
        y_ticks = ticks(min(ys), max(ys))
        if logarithmic_x:
            x_ticks: list[float] = [tick for tick in _DECADES if tick <= max(xs)]
            x = logarithmic([0, max(xs)], cls.left + _DOT, cls.right - _DOT)
        else:
            x_ticks = [tick for tick in ticks(min(0, *xs), max(xs)) if tick <= max(xs)]
            x = linear([*x_ticks, max(xs)], cls.left + _DOT, cls.right - _DOT)
        return cls(x, linear(y_ticks, cls.bottom, cls.top), x_ticks, y_ticks)

    def axes(self, x_name: Words, y_name: Words) -> Iterator[Markup]:
        """Yields grid lines, ticks with their values, and the names of both axes."""
        for tick in self.y_ticks:
            y = self.y(tick)
            yield element("line", x1=self.left, x2=self.right, y1=y, y2=y, class_="grid")
            yield label(_short(tick, self.y_ticks), self.left - 6, y + 4, "end")
        for tick in self.x_ticks:
            yield label(_short(tick, self.x_ticks), self.x(tick), self.bottom + 16, "middle")
        yield words_label(y_name, 2, 12)
        yield words_label(x_name, (self.left + self.right) / 2, self.height - 6, "middle")

    def line(self, points: Sequence[tuple[float, float]], class_: str) -> Markup:
        """Returns a line through the points."""
        places = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        return element("polyline", points=places, class_=class_)


def _short(value: float, among: Sequence[float]) -> str:
    """Returns a tick's value with as many decimals as its neighbours need."""
    if max(abs(tick) for tick in among) >= 10_000 and all(tick % 1000 == 0 for tick in among if tick >= 1000):
        return f"{value / 1000:g}k"
    steps = [abs(b - a) for a, b in pairwise(among)]
    step = min(steps, default=1.0)
    decimals = next((places for places in range(6) if abs(step * 10**places - round(step * 10**places)) < 1e-6), 6)
    return f"{value:,.{decimals}f}"
