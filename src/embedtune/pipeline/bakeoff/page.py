"""The bake-off's page: what report shows, with the recommendation as its decision."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from embedtune.artifact import write_text_whole
from embedtune.evaluate.verdict import GuardVerdict
from embedtune.pipeline.bakeoff.expansion import MINED
from embedtune.pipeline.bakeoff.result import BakeoffResult, Row
from embedtune.pipeline.bakeoff.systems import BASE, SYSTEMS
from embedtune.pipeline.run_folder import RunFolder
from embedtune.report.collecting import ReportSources, collect
from embedtune.report.content import ChoiceRow, Decision, GuardResult, LeftOut, ReportContent, Tone
from embedtune.report.options import PageOptions, ReportOptions
from embedtune.report.page import write_report

__all__ = ["write_page"]

_COSTS = "costs.json"


def write_page(result: BakeoffResult, folder: RunFolder, path: Path, options: PageOptions) -> None:
    """Writes the page whole."""
    costs = folder.folder / _COSTS
    write_text_whole(costs, json.dumps({row.name: asdict(row.costs) for row in result.rows}, indent=2) + "\n")
    write_report(_content(result, folder, costs), path, options)


def _content(result: BakeoffResult, folder: RunFolder, costs: Path) -> ReportContent:
    asked = result.asked
    mining = folder.step_folder(MINED) / "mining.json"
    sources = ReportSources(
        dataset=Path(asked.dataset),
        runs={row.name: row.test_folder for row in result.rows},
        models=[row.model for row in result.rows if row.model is not None and row.name != "merged"],
        mining=mining if mining.is_file() else None,
        costs=costs,
    )
    guards = asked.guard_options
    said = ReportOptions(
        measure=guards.measure, proposed=_looked_at(result), resamples=guards.resamples, seed=guards.seed
    )  # fmt: skip
    content = collect(sources, said)
    names = [row.name for row in result.rows if row.model is not None and row.name != "merged"]
    return replace(
        content,
        decision=Decision(_tone(result), result.recommendation.headline, result.reasons),
        guards=[_guard(row, verdict, result) for row in result.rows for verdict in row.guards],
        curves=[replace(curve, name=name) for name, curve in zip(names, content.curves, strict=True)],
        left_out=[LeftOut(name, why) for name, why in result.left_out.items()],
        choice=[_choice(row, guards.measure) for row in result.rows],
        systems=[replace(system, made_by="") for system in content.systems],
    )


def _looked_at(result: BakeoffResult) -> str:
    """Returns the system that the page opens with beside the base: the recommended one, else the best on val."""
    if result.recommendation.chosen != BASE:
        return result.recommendation.chosen
    measure = result.asked.guard_options.measure
    others = [row for row in result.rows if row.name != BASE]
    return max(others, key=lambda row: row.val[measure]).name if others else BASE


def _tone(result: BakeoffResult) -> Tone:
    if result.warns:
        return "warn"
    return "keep" if result.recommendation.chosen == BASE else "change"


def _choice(row: Row, measure: str) -> ChoiceRow:
    fate = row.fate
    if row.name == BASE:
        return ChoiceRow(row.name, row.val[measure], None, None, fate.words)
    return ChoiceRow(row.name, row.val[measure], fate.difference, fate.interval, fate.words, fate.p)


def _guard(row: Row, verdict: GuardVerdict, result: BakeoffResult) -> GuardResult:
    """Returns a guard's result; it passes or fails only where it could stand against the system."""
    counts = SYSTEMS[row.name].replaces_model or verdict.name in result.asked.guards
    return GuardResult(
        f"{row.name} · {verdict.name}",
        verdict.queries,
        row.guard_differences[verdict.name],
        verdict.allowed if counts else None,
        verdict.kept if counts else None,
    )
