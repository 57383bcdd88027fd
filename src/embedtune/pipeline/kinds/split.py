"""Divides the queries into train, val and test."""

from __future__ import annotations

from embedtune.data.splits import SplitOptions, split_dataset
from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult

__all__ = ["STEP"]


def _work(job: StepJob) -> StepResult:
    result = split_dataset(job.dataset(), job.of(SplitOptions))
    result.dataset.write(job.folder / "dataset.json")
    return StepResult(result.words())


STEP = StepKind(
    version=1,
    outputs={"dataset": "dataset.json"},
    inputs=(StepInput("data", "dataset", "The dataset to divide."),),
    options=lambda given: (SplitOptions,),
    work=_work,
)
