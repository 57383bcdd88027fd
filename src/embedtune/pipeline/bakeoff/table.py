"""The bake-off in a terminal: a table, what was left out, the recommendation and why."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal

from embedtune.evaluate.comparison import Difference
from embedtune.pipeline.bakeoff.result import BakeoffResult, Row
from embedtune.pipeline.bakeoff.words import say
from embedtune.report.content import SystemCosts, Words

__all__ = ["result_lines"]

_COLUMNS = ("system", "val", "test", "against", "guard", "train", "encode", "query", "size")
_UNKNOWN = "–"


def result_lines(result: BakeoffResult, language: Literal["auto", "en", "zh"] = "auto") -> list[str]:
    """Returns the lines to print, in Chinese where that is asked for."""

    def spoken(words: Words) -> str:
        return words.zh if language == "zh" else words.en

    measure = result.asked.guard_options.measure
    rows = [[spoken(say(f"table.{column}")) for column in _COLUMNS]]
    rows += [_cells(row, measure) for row in result.rows]
    lines = _aligned(rows)
    width = max(_width(name) for name in (*(row.name for row in result.rows), *result.left_out))
    for name, why in result.left_out.items():
        lines.append(f"{_padded(name, width)}  {spoken(say('table.out', why=spoken(why)))}")
    timed = result.asked.options.timed_queries
    notes = say(
        "table.measured", measure=measure, queries=result.test_queries, timed=timed, machine=result.machine
    )  # fmt: skip
    lines += ["", spoken(notes), ""]
    lines.append(spoken(say("table.recommended", what=spoken(result.recommendation.headline))))
    return lines + [f"  - {spoken(reason)}" for reason in result.reasons]


def _cells(row: Row, measure: str) -> list[str]:
    worst = row.worst_guard
    return [
        row.name,
        f"{row.val[measure]:.4f}",
        f"{row.test[measure]:.4f}",
        _UNKNOWN if row.gain is None else _difference(row.gain),
        _UNKNOWN if worst is None else f"{-100 * worst.loss:+.2f} {worst.name}",
        *_costs(row.costs),
    ]


def _difference(gain: Difference) -> str:
    low, high = gain.interval
    return f"{gain.mean:+.4f} ({low:+.4f} … {high:+.4f}), p {gain.p:.4f}"


def _costs(costs: SystemCosts) -> list[str]:
    query, size = costs.query_milliseconds, costs.size_bytes
    return [
        f"{costs.train_seconds or 0:.0f} s",
        f"{costs.documents_to_encode or 0:,}",
        _UNKNOWN if query is None else f"{query:.1f} ms",
        _UNKNOWN if size is None else f"{size / 1e6:.1f} MB",
    ]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(_padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]  # fmt: skip


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    """Returns the columns that a text takes in a terminal, where a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
