"""Histograms of mining, as inline SVG: which ranks negatives came from, and how they score."""

from __future__ import annotations

from markupsafe import Markup

from embedtune.report.catalogue import say
from embedtune.report.content import MiningFigures, Words
from embedtune.report.frame import WIDTH
from embedtune.report.svg import element, label, picture, words_label

__all__ = ["ranks_plot", "scores_plot"]

_LEFT, _TOP, _BOTTOM = 88, 24, 6
_THICKNESS, _GAP = 11, 8
_ROOM_FOR_COUNT = 52
_RANDOM = "random"


def ranks_plot(figures: MiningFigures) -> Markup | None:
    """Returns how many negatives came from which ranks; None where nothing was mined."""
    if not figures.ranks:
        return None
    rows = [(say("mining.random") if ranks == _RANDOM else Words(ranks, ranks), [n]) for ranks, n in figures.ranks]
    return _bars(say("plot.ranks"), rows, ("bar",))


def scores_plot(figures: MiningFigures) -> Markup | None:
    """Returns how many negatives and lowest-scored positives are in each range of the encoder's score."""
    if not figures.scores:
        return None
    rows = [
        (Words(name, name), [row.negatives, row.positives])
        for row in figures.scores
        for name in [f"{row.low:.2f} … {row.high:.2f}".replace("-", "\N{MINUS SIGN}")]
    ]
    return _bars(say("plot.scores"), rows, ("bar", "bar positive"))


def _bars(title: Words, rows: list[tuple[Words, list[int]]], classes: tuple[str, ...]) -> Markup:
    """Returns a row of bars for each range, drawn to the largest count, with the counts at their ends."""
    largest = max((count for _, counts in rows for count in counts), default=1) or 1
    row_height = _THICKNESS * len(classes) + _GAP
    room = WIDTH - _LEFT - _ROOM_FOR_COUNT
    parts = [words_label(title, 2, 12)]
    for place, (name, counts) in enumerate(rows):
        top = _TOP + place * row_height
        parts.append(words_label(name, _LEFT - 8, top + row_height / 2, "end"))
        for number, (count, class_) in enumerate(zip(counts, classes, strict=True)):
            y, width = top + number * _THICKNESS, room * count / largest
            parts.append(element("rect", x=_LEFT, y=y, width=width, height=_THICKNESS - 1, class_=class_))
            parts.append(label(f"{count:,}", _LEFT + width + 4, y + _THICKNESS - 2, class_="t small"))
    return picture(WIDTH, _TOP + len(rows) * row_height + _BOTTOM, title, parts)
