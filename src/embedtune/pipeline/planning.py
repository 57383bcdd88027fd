"""Which steps are done, which have to be done, and why."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from embedtune.pipeline.content import outside_hash
from embedtune.pipeline.recipe import Recipe, RecipeStep, Reference
from embedtune.pipeline.run_folder import RunFolder

__all__ = ["PlannedStep", "StepKeys", "key_of", "plan"]

State = Literal["done", "to do", "perhaps"]
"""Perhaps: a step before it has to be done first, and this one again only if that gives something else."""


@dataclass(frozen=True)
class PlannedStep:
    """A step, whether it has to be done, why, and how long it took last time in this folder."""

    step: RecipeStep
    state: State
    why: Sequence[str]
    last_seconds: float | None = None


class StepKeys:
    """What decides each step's output; files from outside are read once."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._outside: dict[str, str] = {}

    def parts(self, step: RecipeStep) -> dict[str, Any]:
        """Returns kind, version, options, and a hash of each input; the steps before it must be done."""
        return {
            "kind": step.kind_name,
            "version": step.kind.version,
            "options": step.option_values(),
            "inputs": {label: self._content(reference) for label, reference in step.references()},
        }

    def _content(self, reference: Reference) -> str:
        if reference.step is None:
            if reference.text not in self._outside:
                self._outside[reference.text] = outside_hash(reference.text)
            return self._outside[reference.text]
        made = self._folder.manifest(reference.step) or {"contents": {}}
        return str(made["contents"].get(reference.output))


def key_of(parts: Mapping[str, Any]) -> str:
    """Returns a hash of all that decides a step's output."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def plan(recipe: Recipe, folder: RunFolder) -> list[PlannedStep]:
    """Returns every step in order; nothing is done or written."""
    keys = StepKeys(folder)
    planned: list[PlannedStep] = []
    open_steps: set[str] = set()
    for step in recipe.steps:
        one = _planned(step, folder, keys, open_steps)
        if one.state != "done":
            open_steps.add(step.name)
        planned.append(one)
    return planned


def _planned(step: RecipeStep, folder: RunFolder, keys: StepKeys, open_steps: set[str]) -> PlannedStep:
    made = folder.manifest(step.name)
    if made is None:
        begun = folder.begun(step.name) is not None
        return PlannedStep(step, "to do", ["it was begun and not finished" if begun else "it wasn't done before"])
    seconds = made.get("seconds")
    waits_for = list(dict.fromkeys(r.step for _, r in step.references() if r.step in open_steps))
    now, before = keys.parts(step), made["parts"]
    changes = differences(before, now, [label for label, r in step.references() if r.step in open_steps])
    if changes:
        return PlannedStep(step, "to do", changes, seconds)
    if waits_for:
        return PlannedStep(step, "perhaps", [f"after {', '.join(map(str, waits_for))}, if that changes"], seconds)
    return PlannedStep(step, "done", [], seconds)


def differences(before: Mapping[str, Any], now: Mapping[str, Any], unknown_inputs: Sequence[str] = ()) -> list[str]:
    """Returns in words what differs between what a step was made from and what it is to be made from."""
    if before["kind"] != now["kind"]:
        return [f"it was a step {before['kind']}"]
    words = []
    if before["version"] != now["version"]:
        words.append(f"this version of embedtune does {now['kind']} differently")
    for name in {**before["options"], **now["options"]}:
        old, new = (json.loads(json.dumps(parts["options"].get(name), default=str)) for parts in (before, now))
        if old != new:
            words.append(f"{name}: {_shown(old)} → {_shown(new)}")
    for label in {**before["inputs"], **now["inputs"]}:
        if label not in before["inputs"] or label not in now["inputs"]:
            words.append(f"{label} is {'new' if label in now['inputs'] else 'gone'}")
        elif label not in unknown_inputs and before["inputs"][label] != now["inputs"][label]:
            words.append(f"{label} has changed")
    return words


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
