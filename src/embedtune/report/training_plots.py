"""Curves of training, and a mean with its interval, as inline SVG."""

from __future__ import annotations

from markupsafe import Markup

from embedtune.report.catalogue import say
from embedtune.report.content import TrainingCurve, Words
from embedtune.report.frame import Frame
from embedtune.report.svg import element, linear, picture

__all__ = ["interval_bar", "loss_plot", "score_curve"]

_WIDTH, _HEIGHT, _MARGIN = 112, 18, 5


def interval_bar(
    mean: float, interval: tuple[float, float], bounds: tuple[float, float], *, difference: bool = False
) -> Markup:
    """Returns a dot with its interval on a line from bounds[0] to bounds[1]; of a difference also where zero is."""
    place = linear(bounds, _MARGIN, _WIDTH - _MARGIN)
    middle = _HEIGHT / 2
    low, high = (place(end) for end in interval)
    parts = [element("line", x1=_MARGIN, x2=_WIDTH - _MARGIN, y1=middle, y2=middle, class_="rule")]
    sign = ""
    if difference:
        parts.append(element("line", x1=place(0), x2=place(0), y1=1, y2=_HEIGHT - 1, class_="zero"))
        sign = "" if interval[0] <= 0 <= interval[1] else " gain" if mean > 0 else " loss"
    parts.append(element("line", x1=low, x2=high, y1=middle, y2=middle, class_=f"whisker{sign}"))
    parts.append(element("circle", cx=place(mean), cy=middle, r=3.5, class_=f"dot{sign}"))
    return picture(_WIDTH, _HEIGHT, say("plot.interval", mean=mean, low=interval[0], high=interval[1]), parts)


def score_curve(curve: TrainingCurve) -> Markup:
    """Returns the val score over steps, the base as a dashed line, the step that was kept as a full dot."""
    points = [(float(point.step), point.score) for point in curve.points]
    frame = Frame.around(points)
    base = frame.y(points[0][1])
    parts = [
        *frame.axes(say("plot.steps"), Words(curve.measure, curve.measure)),
        element("line", x1=frame.left, x2=frame.right, y1=base, y2=base, class_="baseline"),
        frame.line(points, "curve"),
    ]
    for step, score in points:
        kind = "dot chosen" if step == curve.chosen_step else "dot hollow"
        parts.append(element("circle", cx=frame.x(step), cy=frame.y(score), r=4, class_=kind))
    return picture(frame.width, frame.height, say("plot.curve", name=curve.name, measure=curve.measure), parts)


def loss_plot(curve: TrainingCurve) -> Markup | None:
    """Returns the mean training loss since the validation before; None where there are fewer than two."""
    points = [(float(point.step), point.loss) for point in curve.points if point.loss is not None]
    if len(points) <= 1:
        return None
    frame = Frame.around(points)
    parts = [*frame.axes(say("plot.steps"), say("plot.loss")), frame.line(points, "curve faint")]
    parts += [element("circle", cx=frame.x(x), cy=frame.y(y), r=3, class_="dot faint") for x, y in points]
    return picture(frame.width, frame.height, say("plot.loss_of", name=curve.name), parts)
