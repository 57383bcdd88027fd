"""What a bake-off found: every system's figures, or why it was left out, and the recommendation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from embedtune.artifact import provenance
from embedtune.evaluate.comparison import CompareOptions, Difference, compare
from embedtune.evaluate.evaluation import Evaluation, read_evaluation
from embedtune.evaluate.verdict import GuardVerdict, judge_guard
from embedtune.models.machine import describe_machine
from embedtune.pipeline.bakeoff.choosing import read_recommendation
from embedtune.pipeline.bakeoff.expansion import DECIDED, Bakeoff, show_name, val_name
from embedtune.pipeline.bakeoff.making import MADE, Made
from embedtune.pipeline.bakeoff.measuring import MEASURED, SHOWN, TEST, Measured
from embedtune.pipeline.bakeoff.recommending import Fate, Recommendation
from embedtune.pipeline.bakeoff.systems import BASE, SYSTEMS
from embedtune.pipeline.bakeoff.words import say
from embedtune.pipeline.run_folder import RunFolder
from embedtune.report.content import SystemCosts, Words
from embedtune.report.systems import system_results

__all__ = ["BakeoffResult", "Row", "read_result"]

_SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Row:
    """A system that was measured; `gain` is its difference from the base on test, None for the base itself."""

    name: str
    fate: Fate
    val: Mapping[str, float]
    test: Mapping[str, float]
    gain: Difference | None
    guards: Sequence[GuardVerdict]
    guard_differences: Mapping[str, Difference]
    costs: SystemCosts
    model: Path | None
    words: Sequence[str]
    test_folder: Path

    @property
    def worst_guard(self) -> GuardVerdict | None:
        """Returns the guard that loses most; None without any."""
        return max(self.guards, key=lambda guard: guard.loss, default=None)


@dataclass(frozen=True)
class BakeoffResult:
    """All rows, the systems left out with their reasons, and the recommendation with what test said after it."""

    asked: Bakeoff
    rows: Sequence[Row]
    left_out: Mapping[str, Words]
    recommendation: Recommendation
    test_reasons: Sequence[Words]
    test_queries: int
    warns: bool
    machine: str

    @property
    def chosen(self) -> Row:
        """Returns the recommended system's row."""
        return next(row for row in self.rows if row.name == self.recommendation.chosen)

    @property
    def reasons(self) -> list[Words]:
        """Returns why, and what test said after."""
        return [*self.recommendation.reasons, *self.test_reasons]

    def to_json(self) -> dict[str, Any]:
        """Returns all figures as JSON values; words as [English, Chinese]."""
        asked = self.asked
        return {
            "dataset": asked.dataset,
            "encoder": asked.encoder,
            "guards_named": list(asked.guards),
            "options": asked.options.model_dump() | asked.guard_options.model_dump(),
            "recommended": self.recommendation.chosen,
            "model": None if self.chosen.model is None else str(self.chosen.model),
            "headline": list(self.recommendation.headline),
            "reasons": [list(words) for words in self.reasons],
            "systems": [_row_json(row) for row in self.rows],
            "left_out": {name: list(words) for name, words in self.left_out.items()},
            "timed_on": self.machine,
        } | provenance()


def read_result(asked: Bakeoff, folder: RunFolder) -> BakeoffResult:
    """Returns the result of a bake-off all of whose steps are done."""
    return _Reading(asked, folder).result()


class _Reading:
    """A finished bake-off being read; the base's row comes first, and the others are held against it."""

    def __init__(self, asked: Bakeoff, folder: RunFolder) -> None:
        self.asked, self.folder = asked, folder
        self.recommendation = read_recommendation(folder.step_folder(DECIDED))
        options = asked.guard_options
        self.comparing = CompareOptions(
            measure=options.measure, resamples=options.resamples, seed=options.seed, moved=0
        )  # fmt: skip
        self.tests: dict[str, Evaluation] = {}
        self.base_guards: dict[str, Evaluation] = {}

    def result(self) -> BakeoffResult:
        rows: list[Row] = []
        left_out: dict[str, Words] = {}
        for name in SYSTEMS:
            measured = Measured.read(self.folder.step_folder(val_name(name)) / MEASURED)
            if measured.left_out is None:
                rows.append(self._row(name, measured))
            else:
                left_out[name] = measured.left_out
        chosen = next(row for row in rows if row.name == self.recommendation.chosen)
        reasons, warns = _test_reasons(chosen, self.tests, self.comparing)
        machine = describe_machine()
        words = f"{machine.cpu}, {machine.threads} threads, {machine.device} {machine.precision}"
        queries = len(self.tests[BASE].scores.query_ids)
        return BakeoffResult(self.asked, rows, left_out, self.recommendation, reasons, queries, warns, words)

    def _row(self, name: str, measured: Measured) -> Row:
        test_folder = self.folder.step_folder(show_name(name)) / SHOWN / TEST
        test = self.tests[name] = read_evaluation(test_folder)
        guards = measured.guards()
        if name == BASE:
            self.base_guards, guards = guards, {}
        pairs = {guard: (self.base_guards[guard], own) for guard, own in guards.items()}
        made_folder = self.folder.step_folder(name) / MADE
        made = Made.read(made_folder) if made_folder.is_dir() else None
        return Row(
            name=name,
            fate=self.recommendation.fates[name],
            val=measured.val().scores.means(),
            test=test.scores.means(),
            gain=None if name == BASE else compare(self.tests[BASE], test, self.comparing).main,
            guards=[judge_guard(guard, *pair, self.asked.guard_options) for guard, pair in pairs.items()],
            guard_differences={guard: compare(*pair, self.comparing).main for guard, pair in pairs.items()},
            costs=measured.costs(),
            model=None if made is None else made.model,
            words=() if made is None else made.words,
            test_folder=test_folder,
        )


def _test_reasons(chosen: Row, tests: Mapping[str, Evaluation], comparing: CompareOptions) -> tuple[list[Words], bool]:
    """Returns what test says of the chosen system, and whether that is a loss."""
    queries = len(tests[chosen.name].scores.query_ids)
    gain = chosen.gain
    if gain is None:
        base = system_results({BASE: tests[BASE]}, comparing)[0]
        low, high = base.interval
        return [say("reason.test_base", mean=base.means[comparing.measure], low=low, high=high, queries=queries)], False
    low, high = (100 * end for end in gain.interval)
    said = [say("reason.test", points=100 * gain.mean, low=low, high=high, p=gain.p, queries=queries)]
    worse = gain.mean < 0 and gain.p < _SIGNIFICANCE
    return said + ([say("reason.test_worse")] if worse else []), worse


def _row_json(row: Row) -> dict[str, Any]:
    fate = row.fate
    return {
        "name": row.name,
        "outcome": list(fate.words),
        "val": {
            "means": dict(row.val),
            "difference": fate.difference,
            "interval": list(fate.interval),
            "p_corrected": fate.p,
        },
        "test": {"means": dict(row.test), "against_base": None if row.gain is None else asdict(row.gain)},
        "guards": [asdict(guard) for guard in row.guards],
        "guards_against_it": list(fate.lost),
        "costs": asdict(row.costs),
        "model": None if row.model is None else str(row.model),
        "words": list(row.words),
    }
