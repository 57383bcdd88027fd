"""Looks for what would spoil a result, and stops the run where there are errors or mends what can be mended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import Field

from embedtune.artifact import write_text_whole
from embedtune.data.checks import Finding, check_dataset
from embedtune.data.cleaning import clean_dataset
from embedtune.data.usable import Usable, read_usable
from embedtune.errors import DataError
from embedtune.models.encoder import EncoderOptions
from embedtune.models.encoder_facts import encoder_facts
from embedtune.options import Options
from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult

__all__ = ["STEP", "CheckStep"]

_CLEAN = "dataset.json"


class CheckStep(Options):
    """Whether a clean copy is made."""

    fix: bool = Field(
        default=False,
        description="Leave a clean copy of the dataset, which steps after this one can name, and changes.json.",
    )


def _work(job: StepJob) -> StepResult:
    usable = read_usable(Path(job.inputs["data"]))
    job.count(usable.dataset)
    named = job.inputs.get("encoder")
    facts = None if named is None else encoder_facts(named, job.of(EncoderOptions))
    findings = check_dataset(usable.dataset, facts, usable.faults)
    content = {"dataset": job.inputs["data"], "findings": [asdict(finding) for finding in findings]}
    write_text_whole(job.folder / "checks.json", json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    said = [f"{finding.level}: {finding.message}" for finding in findings]
    if job.of(CheckStep).fix:
        said += _mend(usable, job)
    else:
        _stop(findings, job, "say fix: true and let the steps after this one take its dataset; it mends most of them")
    return StepResult(said)


def _mend(usable: Usable, job: StepJob) -> list[str]:
    """Writes the clean copy and what was changed, and says how much that was."""
    cleaned = clean_dataset(usable.dataset, usable.faults)
    left = check_dataset(cleaned.dataset)
    _stop(left, job, "these have to be mended by hand")
    cleaned.dataset.write(job.folder / _CLEAN)
    changes = json.dumps([asdict(change) for change in cleaned.changes], ensure_ascii=False, indent=1)
    write_text_whole(job.folder / "changes.json", changes + "\n")
    return [f"{len(cleaned.changes):,} changes, each in changes.json"]


def _stop(findings: Sequence[Finding], job: StepJob, remedy: str) -> None:
    errors = [finding.message for finding in findings if finding.level == "error"]
    if errors:
        raise DataError("\n".join(errors), where=job.inputs["data"], remedy=remedy)


STEP = StepKind(
    version=2,
    outputs={"checks": "checks.json"},
    inputs=(
        StepInput("data", "dataset", "The dataset to look at."),
        StepInput("encoder", "model", "The texts are held against its limit and prompts.", optional=True),
    ),
    options=lambda given: (CheckStep, EncoderOptions),
    work=_work,
    also=lambda given: {"dataset": _CLEAN} if given.get("fix") is True else {},
)
