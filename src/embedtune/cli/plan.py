"""embedtune plan: what a run would do, why, and what it will take."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedtune.cli.flags import command
from embedtune.cli.run import OUT_HELP, SET_HELP, padded, run_place
from embedtune.models.cache_options import CacheOptions

if TYPE_CHECKING:
    from embedtune.pipeline.estimating import Estimate
    from embedtune.pipeline.planning import PlannedStep

__all__ = ["plan_command"]

_MINUTE, _HOUR = 60, 3600
_UNKNOWN = "unknown"

Estimates = Mapping[str, "Estimate"]


@command
def plan_command(
    recipe: Annotated[Path, typer.Argument(help="The recipe, as embedtune init writes one.", metavar="RECIPE")],
    cache_options: CacheOptions,
    changes: Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)] = None,
    out: Annotated[Path | None, typer.Option(help=OUT_HELP)] = None,
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate/--no-estimate",
            help="Estimate time, memory and money; loads the model for some seconds where it wasn't measured before.",
        ),
    ] = True,
    json_output: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Shows what is to do, why, and what it will take.

    Example: embedtune plan recipe.yaml --set train.epochs=3
    """
    from embedtune.pipeline.planning import plan
    from embedtune.pipeline.recipe import Recipe
    from embedtune.pipeline.run_folder import RunFolder

    folder = RunFolder(run_place(recipe, out))
    planned = plan(Recipe.read(recipe, changes or ()), folder)
    estimates: Estimates = {}
    if estimate:
        from embedtune.pipeline.estimating import Estimator

        estimates = Estimator(folder, cache_options.open(), cache_options.replies).estimate(planned)
    if json_output:
        fields = [_fields(one, estimates.get(one.step.name)) for one in planned]
        typer.echo(json.dumps(fields, ensure_ascii=False, indent=2))
        return
    lines = [_line(one, estimates.get(one.step.name)) for one in planned]
    typer.echo("\n".join([*lines, "", _summary(planned, folder.folder), *_totals(estimates)]))


def _fields(one: PlannedStep, estimate: Estimate | None) -> dict[str, Any]:
    step = one.step
    fields: dict[str, Any] = {"name": step.name, "kind": step.kind_name, "state": one.state, "why": list(one.why)}
    fields |= {"last_seconds": one.last_seconds}
    return fields | {"estimate": None if estimate is None else asdict(estimate)}


def _line(one: PlannedStep, estimate: Estimate | None) -> str:
    took = "" if one.last_seconds is None else f"{one.last_seconds:.1f} s last time"
    will = "" if estimate is None else f"{_time(estimate.seconds)} {_size(estimate.memory_bytes)}"
    words = "; ".join(filter(None, [*one.why, took]))
    return f"{padded(one.step.name, 14)} {one.step.kind_name:<8} {one.state:<8} {will:<18} {words}".rstrip()


def _summary(planned: list[PlannedStep], folder: Path) -> str:
    counts = {state: sum(one.state == state for one in planned) for state in ("done", "to do", "perhaps")}
    return f"{folder}: " + ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def _totals(estimates: Estimates) -> Iterator[str]:
    """Yields the sums, what they leave out, and what each estimate rests on."""
    if not estimates:
        return
    known = {name: one.seconds for name, one in estimates.items() if one.seconds is not None}
    left_out = [name for name in estimates if name not in known]
    without = f", without {', '.join(left_out)}" if left_out else ""
    yield f"time     {_time(sum(known.values())).strip() if known else _UNKNOWN}{without if known else ''}"
    memory = max((one.memory_bytes for one in estimates.values() if one.memory_bytes is not None), default=None)
    yield f"memory   {f'up to {_size(memory)}' if memory is not None else _UNKNOWN}"
    costs = [one.cost for one in estimates.values()]
    priceless = [name for name, one in estimates.items() if one.cost is None]
    spent = f"{sum(cost for cost in costs if cost is not None):,.4f}".rstrip("0").rstrip(".")
    yield f"money    {spent}" + (f", and what {', '.join(priceless)} will cost: {_UNKNOWN}" if priceless else "")
    yield "these rest on"
    reasons: dict[str, list[str]] = {}
    for name, one in estimates.items():
        reasons.setdefault(one.rests_on, []).append(name)
    for reason, names in reasons.items():
        yield f"  {', '.join(names)}: {reason}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return f"{'?':>8}"
    if seconds < 10:
        return f"{seconds:>6.1f} s"
    if seconds < 2 * _MINUTE:
        return f"{seconds:>6.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:>4.0f} min"
    return f"{seconds / _HOUR:>6.1f} h"


def _size(size_bytes: int | None) -> str:
    return "" if size_bytes is None else f"{size_bytes / 1e9:.1f} GB"
