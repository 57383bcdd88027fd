"""Says whether a tuned model may replace its base."""

from __future__ import annotations

import json

from embedtune.artifact import write_text_whole
from embedtune.evaluate.guard_options import GateOptions
from embedtune.models.encoder import EncoderOptions
from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult

__all__ = ["STEP"]


def _work(job: StepJob) -> StepResult:
    from embedtune.evaluate.gate import gate

    base, tuned = (job.workshop.encoder(job.inputs[name], job.of(EncoderOptions)) for name in ("base", "tuned"))
    verdict = gate(
        job.dataset(), base, tuned, guards=job.guards(), options=job.of(GateOptions), cache=job.workshop.cache
    )
    content = verdict.to_json() | {"lines": verdict.lines()}
    write_text_whole(job.folder / "verdict.json", json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    return StepResult(verdict.lines(), refused=not verdict.passed)


STEP = StepKind(
    version=1,
    outputs={"verdict": "verdict.json"},
    inputs=(
        StepInput("data", "dataset", "The dataset on which a gain must show."),
        StepInput("base", "model", "The model as it was.", default="encoder"),
        StepInput("tuned", "model", "The model that is to replace it."),
        StepInput("guard", "dataset", "Sets that mustn't get worse, by name.", "named", optional=True, default="guard"),
    ),
    options=lambda given: (GateOptions, EncoderOptions),
    work=_work,
)
