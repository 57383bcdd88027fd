"""Writes one HTML page: decision, table, plots, every query."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult
from embedtune.report.collecting import Guard, ReportSources, collect
from embedtune.report.options import PageOptions, ReportOptions
from embedtune.report.page import write_report

__all__ = ["STEP"]


def _work(job: StepJob) -> StepResult:
    inputs: Mapping[str, Any] = job.inputs
    sources = ReportSources(
        dataset=Path(inputs["data"]),
        runs={name: Path(folder) for name, folder in inputs["runs"].items()},
        models=tuple(Path(folder) for folder in inputs.get("models", ())),
        guards=tuple(Guard(name, Path(a), Path(b)) for name, (a, b) in inputs.get("guards", {}).items()),
        qrels=_path(inputs.get("qrels")),
        checks=_path(inputs.get("checks")),
        mining=_path(inputs.get("mining")),
        costs=_path(inputs.get("costs")),
    )
    page = job.folder / "report.html"
    write_report(collect(sources, job.of(ReportOptions)), page, job.of(PageOptions))
    return StepResult([str(page)])


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name)


STEP = StepKind(
    version=1,
    outputs={"page": "report.html"},
    inputs=(
        StepInput("data", "dataset", "The dataset that was evaluated."),
        StepInput("runs", "evaluation", "Evaluations, by name; the first is compared with.", "named"),
        StepInput("models", "model", "Tuned models, for their curves of training.", "list", optional=True),
        StepInput("guards", "evaluation", "Name → evaluations of base and tuned.", "pairs", optional=True),
        StepInput("qrels", "file", "The qrels that the runs were evaluated with.", optional=True),
        StepInput("checks", "checks", "A step check; default: the dataset is checked now.", optional=True),
        StepInput("mining", "mining", "A step mine.", optional=True),
        StepInput("costs", "file", "JSON: system → train_seconds, query_milliseconds, size_bytes.", optional=True),
    ),
    options=lambda given: (ReportOptions, PageOptions),
    work=_work,
)
