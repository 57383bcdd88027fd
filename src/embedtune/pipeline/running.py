"""Does a recipe's steps, each once; what is finished stays finished."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from embedtune import progress
from embedtune.errors import EmbedtuneError
from embedtune.pipeline.content import content_hash
from embedtune.pipeline.planning import StepKeys, differences, key_of
from embedtune.pipeline.recipe import Recipe, RecipeStep, Reference
from embedtune.pipeline.run_folder import RunFolder
from embedtune.pipeline.step_kind import StepJob, Workshop

__all__ = ["FinishedStep", "run_recipe"]


@dataclass(frozen=True)
class FinishedStep:
    """What a step left, whether an earlier run had done it, and what it said."""

    name: str
    kind: str
    reused: bool
    refused: bool
    seconds: float
    lines: Sequence[str]
    outputs: Mapping[str, str]


def run_recipe(recipe: Recipe, folder: RunFolder, workshop: Workshop, *, wait: bool = False) -> list[FinishedStep]:
    """Does every step that isn't done, in order, and returns all of them.

    Killed anywhere and started again it goes on. A step that refuses, such as the gate, doesn't stop
    those after it. Raises StorageError where another run is at work in the folder (or waits for it),
    EmbedtuneError where a step can't be done.
    """
    with folder.locked(wait=wait):
        folder.write_recipe(recipe.values)
        keys = StepKeys(folder)
        return [_done(step, folder, keys, workshop) for step in recipe.steps]


def _done(step: RecipeStep, folder: RunFolder, keys: StepKeys, workshop: Workshop) -> FinishedStep:
    parts = keys.parts(step)
    key = key_of(parts)
    made = folder.manifest(step.name)
    if made is not None and made["key"] == key:
        progress.say(f"[{step.name}] done before, reused")
        return _finished(step, made, folder, reused=True)
    changes = [] if made is None else differences(made["parts"], parts)
    progress.say(f"[{step.name}]" + (f" again: {'; '.join(changes)}" if changes else ""))
    place = folder.begin(step.name, key, resumes=step.kind.resumes)
    workshop.forget(place)
    named = {label: reference.text for label, reference in step.references()}
    job = StepJob(place, step.options, _resolved(step.inputs, folder), workshop, named)
    started, encoded = time.perf_counter(), workshop.cache.encoded
    try:
        result = step.kind.work(job)
    except EmbedtuneError as error:
        error.args = (f"step {step.name!r}: {error}",)
        raise
    made = {
        "key": key,
        "parts": parts,
        "seconds": round(time.perf_counter() - started, 1),
        "lines": list(result.lines),
        "refused": result.refused,
        "sizes": job.sizes | {"encoded": workshop.cache.encoded - encoded},
        "outputs": list(step.outputs.values()),
        "contents": {output: content_hash(place / output) for output in step.outputs.values()},
    }
    folder.finish(step.name, made)
    for line in result.lines:
        progress.say(f"  {line}")
    return _finished(step, made, folder, reused=False)


def _finished(step: RecipeStep, made: Mapping[str, Any], folder: RunFolder, *, reused: bool) -> FinishedStep:
    place = folder.step_folder(step.name)
    outputs = {thing: str(place / output) for thing, output in step.outputs.items()}
    return FinishedStep(
        step.name, step.kind_name, reused, made["refused"], made["seconds"], made["lines"], outputs
    )  # fmt: skip


def _resolved(value: Any, folder: RunFolder) -> Any:
    """Returns the inputs with paths and names in the place of references."""
    if isinstance(value, Reference):
        if value.step is None or value.output is None:
            return value.text
        return str(folder.step_folder(value.step) / value.output)
    if isinstance(value, Mapping):
        return {name: _resolved(one, folder) for name, one in value.items()}
    return [_resolved(one, folder) for one in value]
