"""embedtune plan: what a run would do, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedtune.cli.flags import command
from embedtune.cli.run import OUT_HELP, SET_HELP, run_place

if TYPE_CHECKING:
    from embedtune.pipeline.planning import PlannedStep

__all__ = ["plan_command"]


@command
def plan_command(
    recipe: Annotated[Path, typer.Argument(help="The recipe, as embedtune init writes one.", metavar="RECIPE")],
    changes: Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)] = None,
    out: Annotated[Path | None, typer.Option(help=OUT_HELP)] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Shows which steps are done, which are to do, and why.

    Example: embedtune plan recipe.yaml --set train.epochs=3
    """
    from embedtune.pipeline.planning import plan
    from embedtune.pipeline.recipe import Recipe
    from embedtune.pipeline.run_folder import RunFolder

    folder = run_place(recipe, out)
    planned = plan(Recipe.read(recipe, changes or ()), RunFolder(folder))
    if json_output:
        typer.echo(json.dumps([_fields(one) for one in planned], ensure_ascii=False, indent=2))
        return
    typer.echo("\n".join([*(_line(one) for one in planned), "", _summary(planned, folder)]))


def _fields(one: PlannedStep) -> dict[str, Any]:
    step = one.step
    fields = {"name": step.name, "kind": step.kind_name, "state": one.state, "why": list(one.why)}
    return fields | {"last_seconds": one.last_seconds}


def _line(one: PlannedStep) -> str:
    took = "" if one.last_seconds is None else f"{one.last_seconds:.1f} s last time"
    return f"{one.step.name:<14} {one.step.kind_name:<8} {one.state:<8} {took:<18} {'; '.join(one.why)}".rstrip()


def _summary(planned: list[PlannedStep], folder: Path) -> str:
    counts = {state: sum(one.state == state for one in planned) for state in ("done", "to do", "perhaps")}
    return f"{folder}: " + ", ".join(f"{count} {state}" for state, count in counts.items() if count)
