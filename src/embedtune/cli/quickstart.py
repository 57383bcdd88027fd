"""embedtune quickstart: the main job end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from embedtune import progress
from embedtune.cli.flags import command
from embedtune.data.converters.docstrings import DocstringOptions
from embedtune.models.cache_options import CacheOptions
from embedtune.models.encoder import EncoderOptions
from embedtune.pipeline.quickstart import QuickstartOptions, QuickstartSummary, quickstart

__all__ = ["quickstart_command"]

_SHOWN = ("ndcg_at_10", "map_at_10", "recall_at_10", "precision_at_10", "mrr_at_10")


@command
def quickstart_command(
    options: QuickstartOptions,
    docstring_options: DocstringOptions,
    encoder_options: EncoderOptions,
    cache_options: CacheOptions,
    out: Annotated[Path, typer.Option(help="Folder of the run; finished steps in it are reused.")] = Path(
        "runs/quickstart"
    ),
    json_output: Annotated[bool, typer.Option("--json", help="Print summary.json instead of the table.")] = False,
) -> None:
    """Tunes a model on docstrings and measures the gain.

    It is the recipe recipes/quickstart.yaml: embedtune plan, run and runs work on it and on its folder.

    Example: embedtune quickstart --documents 1000 --out runs/quickstart
    """
    cache = cache_options.open()
    summary = quickstart(out, options, docstring_options, encoder_options, cache)
    if json_output:
        typer.echo(json.dumps(summary.content, ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(_lines(summary)))
    progress.say(f"everything is in {out}: the page in {summary.content['page']}, the tuned model as")
    progress.say(f"SentenceTransformer({summary.content['model']!r})")


def _lines(summary: QuickstartSummary) -> list[str]:
    content: dict[str, Any] = summary.content
    lines = [f"{'test split':<18}{'BM25':>9}{'base':>9}{'tuned':>9}"]
    for measure in _SHOWN:
        row = "".join(f"{content[system][measure]:>9.4f}" for system in ("bm25", "base", "tuned"))
        lines.append(f"{measure:<18}{row}")
    lines += ["", f"tuned against base: {summary.steps['compare'].lines[0]}", *summary.steps["compare"].lines[1:]]
    lines.append("the gate: " + "; ".join(content["gate"]["lines"][1:]))
    seconds = content["seconds"]
    lines.append("seconds: " + ", ".join(f"{name} {seconds[name]}" for name in seconds))
    return lines
