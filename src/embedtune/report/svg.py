"""Shapes of SVG, scales and round ticks, for plots that are part of the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup

from embedtune.report.catalogue import LANGUAGES
from embedtune.report.content import Words

__all__ = ["Scale", "element", "joined", "label", "linear", "logarithmic", "picture", "ticks", "words_label"]

Scale = Callable[[float], float]


def element(name: str, content: str = "", /, **attributes: object) -> Markup:
    """Returns an element; `class_` is class, other underscores are hyphens; text is escaped."""
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _number(value))
        for key, value in attributes.items()
    )
    if not content:
        return Markup("<{}{}/>").format(Markup(name), written)  # noqa: S704  # a name of ours
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, content)  # noqa: S704


def _number(value: object) -> object:
    return f"{value:.5g}" if isinstance(value, float) else value


def joined(parts: Iterable[str]) -> Markup:
    """Returns the parts one after the other; texts that aren't Markup are escaped."""
    return Markup("").join(parts)


def picture(width: int, height: int, title: Words, content: Iterable[str]) -> Markup:
    """Returns an SVG that says in both languages what it shows."""
    name = joined([element("title", f"{title.en} / {title.zh}")])
    return element(
        "svg",
        name + joined(content),
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
    )


def label(text: str, x: float, y: float, anchor: str = "start", class_: str = "") -> Markup:
    """Returns a text at a place."""
    return element("text", text, x=x, y=y, text_anchor=anchor, class_=class_ or "t")


def words_label(words: Words, x: float, y: float, anchor: str = "start") -> Markup:
    """Returns a text in both languages at one place, of which the page shows one."""
    return joined(
        element("text", text, x=x, y=y, text_anchor=anchor, class_=f"t w {name}", lang=tag)
        for (name, tag), text in zip(LANGUAGES.items(), words, strict=True)
    )


def linear(values: Sequence[float], low: float, high: float) -> Scale:
    """Returns what maps the values' range to low … high; a range without extent to its middle."""
    start, end = min(values), max(values)
    if end == start:
        return lambda value: (low + high) / 2
    return lambda value: low + (value - start) / (end - start) * (high - low)


def logarithmic(values: Sequence[float], low: float, high: float) -> Scale:
    """Returns the same for log10 of one plus the values, so that nothing is at zero."""
    inner = linear([math.log10(1 + value) for value in values], low, high)
    return lambda value: inner(math.log10(1 + value))


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Returns round numbers that span low … high: steps of 1, 2 or 5 times a power of ten, about `wanted` of them."""
    if high <= low:
        high = low + (abs(low) * 0.1 or 1.0)
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]
