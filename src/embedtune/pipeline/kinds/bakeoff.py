"""Measures the cheap remedies beside the dear ones, and recommends one."""

from __future__ import annotations

from embedtune.evaluate.guard_options import GuardOptions
from embedtune.models.encoder import EncoderOptions
from embedtune.pipeline.bakeoff.expansion import Bakeoff
from embedtune.pipeline.bakeoff.options import BakeoffOptions
from embedtune.pipeline.bakeoff.running import run_bakeoff
from embedtune.pipeline.bakeoff.table import result_lines
from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult
from embedtune.report.options import PageOptions
from embedtune.search.reranker_options import RerankerOptions

__all__ = ["STEP"]


def _work(job: StepJob) -> StepResult:
    asked = Bakeoff(
        dataset=job.inputs["data"],
        encoder=job.inputs["encoder"],
        guards=job.inputs.get("guard", {}),
        reranker=job.inputs.get("reranker"),
        options=job.of(BakeoffOptions),
        guard_options=job.of(GuardOptions),
        encoder_options=job.of(EncoderOptions),
        reranker_options=job.of(RerankerOptions),
    )
    page = job.of(PageOptions)
    return StepResult(result_lines(run_bakeoff(asked, job.folder, job.workshop, page), page.language))


STEP = StepKind(
    version=1,
    outputs={"bakeoff": "bakeoff.json", "page": "report.html"},
    inputs=(
        StepInput("data", "dataset", "The dataset, divided into train, val and test."),
        StepInput("encoder", "model", "The base model.", default="encoder"),
        StepInput("reranker", "model", "A cross-encoder, for reranking.", optional=True),
        StepInput("guard", "dataset", "Sets that mustn't get worse, by name.", "named", optional=True, default="guard"),
    ),
    options=lambda given: (BakeoffOptions, GuardOptions, PageOptions, EncoderOptions, RerankerOptions),
    work=_work,
    resumes=True,
)
