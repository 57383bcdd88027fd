"""Writes a model in another format and compares it with the original."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from embedtune.export.export_options import ProofOptions
from embedtune.export.exporters import EXPORTERS
from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options
from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult

__all__ = ["STEP", "ExportStep"]

_DEFAULT = "onnx"


class ExportStep(Options):
    """Which format."""

    format: str = Field(default=_DEFAULT, description=f"{', '.join(EXPORTERS.names())}.")
    force: bool = Field(default=False, description="Write it although it doesn't keep the limits.")


def _options(given: Mapping[str, Any]) -> tuple[type[Options], ...]:
    plugin = EXPORTERS.load(str(given.get("format", _DEFAULT)))
    return ExportStep, plugin.OPTIONS, ProofOptions, EncoderOptions


def _work(job: StepJob) -> StepResult:
    from embedtune.export.exporting import export

    step, data = job.of(ExportStep), job.dataset()
    exported = export(
        job.inputs["model"],
        data,
        job.folder / "model",
        format_name=step.format,
        options=job.of(EXPORTERS.load(step.format).OPTIONS),
        proof_options=job.of(ProofOptions),
        encoder_options=job.of(EncoderOptions),
        cache=job.workshop.cache,
        made_from={"dataset": job.inputs["data"], "dataset_sha256": data.content_hash()},
        force=step.force,
    )
    return StepResult([exported.made, *(f"limit not kept: {fault}" for fault in exported.faults)])


STEP = StepKind(
    version=1,
    outputs={"model": "model"},
    inputs=(
        StepInput("data", "dataset", "The dataset that the export is compared with the model on."),
        StepInput("model", "model", "The model to export."),
    ),
    options=_options,
    work=_work,
    plugins={"format": EXPORTERS},
)
