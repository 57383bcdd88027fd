"""Makes queries for documents that have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options
from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult
from embedtune.synthesize.backends import BACKENDS, DEFAULT_BACKEND
from embedtune.synthesize.generation import GenerateOptions, generate_queries

__all__ = ["STEP", "SynthStep"]


class SynthStep(Options):
    """Who makes the queries."""

    backend: str = Field(default=DEFAULT_BACKEND, description=f"{', '.join(BACKENDS.names())}.")


def _options(given: Mapping[str, Any]) -> tuple[type[Options], ...]:
    return SynthStep, GenerateOptions, BACKENDS.load(str(given.get("backend", DEFAULT_BACKEND))).OPTIONS, EncoderOptions


def _work(job: StepJob) -> StepResult:
    backend = job.of(SynthStep).backend
    made = generate_queries(
        job.dataset(),
        backend,
        job.of(BACKENDS.load(backend).OPTIONS),
        job.of(GenerateOptions),
        encoder=job.encoder(),
        cache=job.workshop.cache,
        cache_folder=job.workshop.replies,
    )
    made.dataset.write(job.folder / "dataset.json")
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in made.report.by_kind.items())
    return StepResult([f"{made.report.queries:,} queries ({kinds})"])


STEP = StepKind(
    version=1,
    outputs={"dataset": "dataset.json"},
    inputs=(
        StepInput("data", "dataset", "The documents to ask about."),
        StepInput("encoder", "model", "Encoder that chooses documents to cover the corpus.", optional=True),
    ),
    options=_options,
    work=_work,
    plugins={"backend": BACKENDS},
)
