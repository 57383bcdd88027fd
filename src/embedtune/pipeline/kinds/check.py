"""Looks for what would spoil a result, and stops the run where there are errors."""

from __future__ import annotations

import json
from dataclasses import asdict

from embedtune.artifact import write_text_whole
from embedtune.data.checks import check_dataset
from embedtune.errors import DataError
from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult

__all__ = ["STEP"]


def _work(job: StepJob) -> StepResult:
    findings = check_dataset(job.dataset())
    errors = [finding.message for finding in findings if finding.level == "error"]
    if errors:
        raise DataError(
            "\n".join(errors), where=job.inputs["data"], remedy="embedtune check D --fix clean.json mends most of them"
        )
    content = {"dataset": job.inputs["data"], "findings": [asdict(finding) for finding in findings]}
    write_text_whole(job.folder / "checks.json", json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    return StepResult([f"{finding.level}: {finding.message}" for finding in findings])


STEP = StepKind(
    version=1,
    outputs={"checks": "checks.json"},
    inputs=(StepInput("data", "dataset", "The dataset to look at."),),
    options=lambda given: (),
    work=_work,
)
