"""Converts other people's data to a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from embedtune.data.converters import CONVERTERS
from embedtune.errors import OptionsError
from embedtune.options import Options
from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult

__all__ = ["STEP", "ImportStep"]


class ImportStep(Options):
    """Whose layout is read."""

    converter: str = Field(description=f"Layout of the source: {', '.join(CONVERTERS.names())}.")


def _options(given: Mapping[str, Any]) -> tuple[type[Options], ...]:
    if "converter" not in given:
        raise OptionsError(f"option 'converter' is missing: one of {', '.join(CONVERTERS.names())}")
    return ImportStep, CONVERTERS.load(str(given["converter"])).OPTIONS


def _work(job: StepJob) -> StepResult:
    converter = CONVERTERS.load(job.of(ImportStep).converter)
    dataset = converter.convert(job.inputs.get("source"), job.of(converter.OPTIONS))
    dataset.write(job.folder / "dataset.json")
    splits = "".join(f", {split} {len(ids):,}" for split, ids in dataset.queries_split.items())
    return StepResult([f"{len(dataset.corpus):,} documents, {len(dataset.queries):,} queries{splits}"])


STEP = StepKind(
    version=1,
    outputs={"dataset": "dataset.json"},
    inputs=(StepInput("source", "file", "What to convert: a path, or a name on the Hub.", optional=True),),
    options=_options,
    work=_work,
    plugins={"converter": CONVERTERS},
)
