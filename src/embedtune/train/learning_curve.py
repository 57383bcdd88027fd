"""Draws how a training went, as SVG without any plotting package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

__all__ = ["learning_curve_svg"]

_WIDTH, _HEIGHT = 720, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 64, 36, 44
_LOSS, _SCORE, _INK = "#7a8a99", "#0b6e4f", "#222222"
_MOST_POINTS = 400
_SMOOTHED_OVER = 20
_TICKS = 4


class _Axis(NamedTuple):
    """From a value to a place on the page."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        return [self.low + (self.high - self.low) * number / _TICKS for number in range(_TICKS + 1)]


def learning_curve_svg(log: Sequence[Mapping[str, Any]], measure: str) -> str:
    """Returns the picture of a training log: the smoothed loss (left axis) and the val score (right axis).

    `log` has lines with `step` and `loss`, and lines with `step` and the measure; see trainer.py.
    The best score is marked.
    """
    losses = _smoothed([(line["step"], line["loss"]) for line in log if "loss" in line])
    scores = [(line["step"], line[measure]) for line in log if measure in line]
    last = max([step for step, _ in [*losses, *scores]], default=1)
    steps = _Axis(0, max(1, last), _LEFT, _WIDTH - _RIGHT)
    loss_axis, score_axis = (_value_axis([value for _, value in points]) for points in (losses, scores))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="12" fill="{_INK}">',
        f"<title>Loss and {escape(measure)} on val by step</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        *_frame(steps, loss_axis, score_axis, measure),
        _line(losses, steps, loss_axis, _LOSS),
        _line(scores, steps, score_axis, _SCORE),
        *_dots(scores, steps, score_axis),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _smoothed(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Returns means of the last points, thinned to what a page can show."""
    window = min(_SMOOTHED_OVER, max(1, len(points) // 5))
    means = []
    for place in range(len(points)):
        part = points[max(0, place + 1 - window) : place + 1]
        means.append((points[place][0], sum(value for _, value in part) / len(part)))
    every = max(1, len(means) // _MOST_POINTS)
    return means[::-1][::every][::-1]


def _value_axis(values: Sequence[float]) -> _Axis:
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = 0.08 * (high - low) or max(1e-3, 0.05 * abs(high))
    return _Axis(low - margin, high + margin, _HEIGHT - _BOTTOM, _TOP)


def _frame(steps: _Axis, losses: _Axis, scores: _Axis, measure: str) -> list[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = [f'<path d="M{_LEFT},{_TOP}V{bottom}H{right}V{_TOP}" fill="none" stroke="#cccccc"/>']
    parts += [_text(steps.at(tick), bottom + 18, f"{tick:.0f}", "middle") for tick in steps.ticks()]
    parts += [_text(_LEFT - 8, losses.at(tick) + 4, f"{tick:.3g}", "end", _LOSS) for tick in losses.ticks()]
    parts += [_text(right + 8, scores.at(tick) + 4, f"{tick:.3f}", "start", _SCORE) for tick in scores.ticks()]
    parts.append(_text((_LEFT + right) / 2, _HEIGHT - 8, "step", "middle"))
    parts.append(_text(_LEFT, _TOP - 14, "loss", "start", _LOSS))
    parts.append(_text(right, _TOP - 14, f"val {measure}", "end", _SCORE))
    return parts


def _line(points: Sequence[tuple[int, float]], steps: _Axis, values: _Axis, colour: str) -> str:
    places = " ".join(f"{steps.at(step):.1f},{values.at(value):.1f}" for step, value in points)
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _dots(points: Sequence[tuple[int, float]], steps: _Axis, values: _Axis) -> list[str]:
    """Returns a dot for each validation, the earliest of the best ones filled and labelled."""
    if not points:
        return []
    best = max(points, key=lambda point: (point[1], -point[0]))
    parts = []
    for step, value in points:
        fill = _SCORE if (step, value) == best else "#ffffff"
        x, y = steps.at(step), values.at(value)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{_SCORE}" stroke-width="2"/>')
    x, y = steps.at(best[0]), values.at(best[1])
    anchor = "start" if x < _WIDTH / 2 else "end"
    parts.append(_text(x + (8 if anchor == "start" else -8), y - 8, f"{best[1]:.4f} at step {best[0]}", anchor, _SCORE))
    return parts


def _text(x: float, y: float, words: str, anchor: str, colour: str = _INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'
