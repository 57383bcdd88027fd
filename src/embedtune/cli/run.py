"""embedtune run: a recipe's steps, each done once."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.cells import cell_len

from embedtune import progress
from embedtune.cli.flags import command
from embedtune.models.cache_options import CacheOptions

if TYPE_CHECKING:
    from embedtune.pipeline.running import FinishedStep

__all__ = ["OUT_HELP", "SET_HELP", "padded", "run_command", "run_place"]

_REFUSED = 3
_NAME = 14
SET_HELP = "KEY=VALUE: change the recipe, such as train.learning_rate=1e-5 or data=mine.json; repeatable."
OUT_HELP = "Folder of the run; default: runs/ and the recipe's name."


@command
def run_command(
    recipe: Annotated[Path, typer.Argument(help="The recipe, as embedtune init writes one.", metavar="RECIPE")],
    cache_options: CacheOptions,
    changes: Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)] = None,
    out: Annotated[Path | None, typer.Option(help=OUT_HELP)] = None,
    wait: Annotated[bool, typer.Option(help="Wait where another run is at work in the folder.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print every step's outcome as JSON.")] = False,
) -> None:
    """Does a recipe's steps; what is finished isn't done again.

    Killed anywhere and run again it goes on. Exit status 3 where a step refused what it judged, such as the gate.

    Example: embedtune run recipe.yaml --out runs/first
    """
    from embedtune.pipeline.recipe import Recipe
    from embedtune.pipeline.run_folder import RunFolder
    from embedtune.pipeline.running import run_recipe
    from embedtune.pipeline.step_kind import Workshop

    read = Recipe.read(recipe, changes or ())
    folder = run_place(recipe, out)
    workshop = Workshop(cache_options.open(), cache_options.replies)
    finished = run_recipe(read, RunFolder(folder), workshop, wait=wait)
    if json_output:
        typer.echo(json.dumps([asdict(one) for one in finished], ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(line for one in finished for line in _lines(one)))
    progress.say(f"everything is in {folder}")
    if any(one.refused for one in finished):
        raise typer.Exit(_REFUSED)


def padded(text: str, width: int) -> str:
    """Returns the text with blanks up to a width on the screen, where a Chinese character takes two places."""
    return text + " " * max(0, width - cell_len(text))


def run_place(recipe: Path, out: Path | None) -> Path:
    """Returns the folder of a recipe's run."""
    return out or Path("runs") / recipe.stem


def _lines(step: FinishedStep) -> list[str]:
    state = "reused" if step.reused else f"{step.seconds:.1f} s"
    head = f"{padded(step.name, _NAME)} {state:>9}"
    return [f"{head}  {line}" if not number else f"{'':<26}{line}" for number, line in enumerate(step.lines or [""])]
