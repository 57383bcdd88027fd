"""Writes documents and vectors into a vector store, and checks the search there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from embedtune.artifact import write_text_whole
from embedtune.export.vector_options import PublishOptions
from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options
from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult
from embedtune.search.stores import DEFAULT_STORE, STORES

__all__ = ["STEP", "PublishStep"]


class PublishStep(Options):
    """Which store."""

    to: str = Field(default=DEFAULT_STORE, description=f"{', '.join(STORES.names())}.")


def _options(given: Mapping[str, Any]) -> tuple[type[Options], ...]:
    plugin = STORES.load(str(given.get("to", DEFAULT_STORE)))
    return PublishStep, plugin.OPTIONS, PublishOptions, EncoderOptions


def _work(job: StepJob) -> StepResult:
    from embedtune.export.publishing import publish

    to = job.of(PublishStep).to
    encoder = job.encoder("model")
    assert encoder is not None  # noqa: S101 - the recipe has been checked
    report = publish(
        encoder,
        job.dataset(),
        to,
        job.of(STORES.load(to).OPTIONS),
        job.of(PublishOptions),
        cache=job.workshop.cache,
    )
    text = json.dumps(report.to_json(), ensure_ascii=False, indent=2) + "\n"
    write_text_whole(job.folder / "published.json", text)
    lines = [f"{report.documents:,} documents in {report.place}: {report.added:,} new, {report.replaced:,} replaced"]
    return StepResult(lines, refused=not report.passed)


STEP = StepKind(
    version=1,
    outputs={"published": "published.json"},
    inputs=(
        StepInput("data", "dataset", "The dataset whose documents are published."),
        StepInput("model", "model", "The model whose vectors they get."),
    ),
    options=_options,
    work=_work,
    resumes=True,
    plugins={"to": STORES},
)
