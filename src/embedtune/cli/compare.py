"""embedtune compare: is one evaluation better than another, and could it be luck?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from embedtune.cli.flags import command
from embedtune.evaluate.comparison import CompareOptions, Comparison, MovedQuery, compare
from embedtune.evaluate.evaluation import read_evaluation

__all__ = ["compare_command"]

_TEXT_WIDTH = 70


@command
def compare_command(
    a: Annotated[Path, typer.Argument(help="The --out folder of the first evaluation.", metavar="A")],
    b: Annotated[Path, typer.Argument(help="The --out folder of the second evaluation.", metavar="B")],
    options: CompareOptions,
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Says whether B beats A, or whether it could be luck.

    Example: embedtune compare runs/base runs/tuned
    """
    comparison = compare(read_evaluation(a), read_evaluation(b), options)
    if json_output:
        typer.echo(json.dumps(comparison.to_json(), ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(_lines(comparison)))


def _lines(comparison: Comparison) -> list[str]:
    lines = [f"{comparison.queries} queries, B minus A", ""]
    lines.append(f"{'measure':<16}{'A':>9}{'B':>9}{'B - A':>10}   {'95 % interval':<20}{'p':>8}")
    for measure, d in comparison.differences.items():
        low, high = d.interval
        interval = f"{low:+.4f} … {high:+.4f}"
        lines.append(f"{measure:<16}{d.mean_a:>9.4f}{d.mean_b:>9.4f}{d.mean:>+10.4f}   {interval:<20}{d.p:>8.4f}")
    lines += ["", f"{comparison.measure}: {comparison.verdict('A', 'B')}"]
    lines.append(f"B wins {comparison.wins}, ties {comparison.ties}, loses {comparison.losses} queries")
    for points, queries in comparison.queries_needed.items():
        lines.append(f"to see {points} point(s) of difference with 80 % power: {queries} queries")
    lines += _moved("gained most", comparison.gained) + _moved("lost most", comparison.lost)
    return lines


def _moved(title: str, queries: list[MovedQuery]) -> list[str]:
    if not queries:
        return []
    rows = [
        f"  {query.score_a:.3f} → {query.score_b:.3f}  {query.query_id}: {_one_line(query.text)}" for query in queries
    ]
    return ["", f"{title}:", *rows]


def _one_line(text: str) -> str:
    """Returns a text cut to one printable line; control characters can't reach the terminal."""
    clean = "".join(character if character.isprintable() else " " for character in " ".join(text.split()))
    return clean if len(clean) <= _TEXT_WIDTH else clean[: _TEXT_WIDTH - 1] + "…"
