"""Finds documents that look relevant and aren't."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from embedtune.artifact import write_text_whole
from embedtune.mine.mining import mine_negatives
from embedtune.mine.options import MineOptions
from embedtune.mine.written import with_negatives
from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options
from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult
from embedtune.search.reranker_options import RerankerOptions

__all__ = ["STEP", "MineStep"]


class MineStep(Options):
    """Whose negatives."""

    split: str = Field(default="train", description="Split whose queries get negatives; all for every query.")


def _options(given: Mapping[str, Any]) -> tuple[type[Options], ...]:
    teacher = (RerankerOptions,) if given.get("rerank") else ()
    return MineStep, MineOptions, EncoderOptions, *teacher


def _work(job: StepJob) -> StepResult:
    encoder, options = job.encoder(), job.of(MineOptions)
    assert encoder is not None  # noqa: S101 - the recipe has been checked
    options.check()
    teacher = None
    if job.inputs.get("rerank") is not None:
        from embedtune.mine.teacher import RerankerTeacher
        from embedtune.search.reranking import load_reranker

        name = job.inputs["rerank"]
        teacher = RerankerTeacher(load_reranker(name, job.of(RerankerOptions)), name)
    dataset = job.dataset()
    split = job.of(MineStep).split
    report = mine_negatives(dataset, encoder, split=split, cache=job.workshop.cache, options=options, teacher=teacher)
    with_negatives(dataset, report).write(job.folder / "dataset.json")
    content = {"options": options.model_dump(by_alias=True), "teacher": teacher.name if teacher else None}
    content |= {"mined": report.to_json(), "diagnosis": None}
    write_text_whole(job.folder / "mining.json", json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    count = sum(len(mined) for mined in report.mined.values())
    dropped = ", ".join(f"{rule} {number:,}" for rule, number in report.dropped.items())
    return StepResult([f"{count:,} negatives for {len(report.mined):,} queries; dropped: {dropped}"])


STEP = StepKind(
    version=1,
    outputs={"dataset": "dataset.json", "mining": "mining.json"},
    inputs=(
        StepInput("data", "dataset", "The dataset that gets negatives."),
        StepInput("encoder", "model", "Encoder that finds them.", default="encoder"),
        StepInput("rerank", "model", "A cross-encoder that drops what is as good as a positive.", optional=True),
    ),
    options=_options,
    work=_work,
)
