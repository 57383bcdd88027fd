"""embedtune runs: what earlier runs hold, how they differ, what can go."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from embedtune.cli.flags import command

__all__ = ["runs_app"]

_WIDTH = 26

runs_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Lists, compares and cleans the runs of recipes. Example: embedtune runs list",
)


@command
def _list_command(
    folder: Annotated[Path, typer.Argument(help="Folder that holds runs.")] = Path("runs"),
    json_output: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """Names the runs: steps finished, time, size."""
    from embedtune.pipeline.runs import list_runs

    runs = list_runs(folder)
    if json_output:
        typer.echo(
            json.dumps([asdict(run) | {"folder": str(run.folder)} for run in runs], ensure_ascii=False, indent=2)
        )
        return
    for run in runs:
        state = f"{run.finished} of {run.steps} steps"
        typer.echo(f"{run.folder!s:<{_WIDTH}} {state:<16} {run.seconds:>9,.1f} s {run.size_bytes / 1e6:>9,.1f} MB")
    if not runs:
        typer.echo(f"no runs in {folder}")


@command
def _compare_command(
    folders: Annotated[list[Path], typer.Argument(help="Runs; the others are compared with the first.")],
    measure: Annotated[str, typer.Option(help="The measure to show.")] = "ndcg_at_10",
    json_output: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Puts evaluations of several runs side by side, and says what they did differently.

    Whether a difference is more than luck is what embedtune compare says.
    """
    from embedtune.pipeline.runs import compare_runs

    compared = compare_runs(folders, measure)
    if json_output:
        typer.echo(json.dumps(asdict(compared), ensure_ascii=False, indent=2))
        return
    names = [str(folder) for folder in folders]
    typer.echo(f"{measure:<{_WIDTH}}" + "".join(f"{name:>{_WIDTH}}" for name in names))
    for step, means in compared.means.items():
        cells = (f"{means[name]:.4f}" if name in means else "" for name in names)
        typer.echo(f"{step:<{_WIDTH}}" + "".join(f"{cell:>{_WIDTH}}" for cell in cells))
    for name, changes in compared.changes.items():
        for change in changes:
            typer.echo(f"{name}: {change}")


@command
def _clean_command(
    folder: Annotated[Path, typer.Argument(help="One run.")],
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; without this flag it is only named.")] = False,
) -> None:
    """Names, and with --yes removes, steps that weren't finished or that the recipe no longer has."""
    from embedtune.pipeline.runs import clean_run

    left = clean_run(folder, remove=yes)
    for path in left:
        typer.echo(f"{'removed' if yes else 'would remove'} {path}")
    if not left:
        typer.echo("nothing to remove")


runs_app.command("list")(_list_command)
runs_app.command("compare")(_compare_command)
runs_app.command("clean")(_clean_command)
