"""A recipe: named steps with typed options, each told what it builds on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedtune.errors import OptionsError
from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options
from embedtune.pipeline.kinds import kind_names, load_kind
from embedtune.pipeline.recipe_faults import FaultList, nearest
from embedtune.pipeline.recipe_text import RecipeText, apply_changes, read_recipe_text
from embedtune.pipeline.step_kind import StepInput, StepKind

__all__ = ["TOP_KEYS", "Recipe", "RecipeStep", "Reference"]

TOP_KEYS = {
    "data": "The dataset: a JSON file or a folder of tables. Steps name it as data.",
    "encoder": "The model to adapt: minilm, a folder, or a name on the Hugging Face Hub.",
    "encoder_options": "How models are loaded and run, in every step that doesn't say otherwise.",
    "guard": "Name → dataset: sets that a tuned model mustn't get worse on.",
    "steps": "Name → step, in their order.",
}
_DO = "do"


@dataclass(frozen=True)
class Reference:
    """What an input names: `output` of the step before it, or something from outside."""

    text: str
    step: str | None = None
    output: str | None = None


@dataclass(frozen=True)
class RecipeStep:
    """One step; `inputs` holds References in the shape that its kind asks for.

    `also` is what it leaves under its options besides what every step of its kind does.
    """

    name: str
    kind_name: str
    kind: StepKind
    options: Mapping[type[Options], Options]
    inputs: Mapping[str, Any]
    also: Mapping[str, str] = field(default_factory=dict)

    @property
    def outputs(self) -> Mapping[str, str]:
        """Returns what it leaves, as the file or folder in its folder."""
        return {**self.kind.outputs, **self.also}

    def references(self) -> Iterator[tuple[str, Reference]]:
        """Yields every reference with a label such as guard.news."""
        for name, value in self.inputs.items():
            yield from _labelled(name, value)

    def option_values(self) -> dict[str, Any]:
        """Returns all options, the defaults too, as JSON values."""
        values: dict[str, Any] = {}
        for options in self.options.values():
            values |= options.model_dump(mode="json")
        return values


@dataclass(frozen=True)
class Recipe:
    """Steps in their order; `values` is the file as it was read, with what the command line changed."""

    path: Path
    steps: Sequence[RecipeStep]
    values: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | Path, changes: Sequence[str] = ()) -> Recipe:
        """Returns the recipe in a YAML file, with `changes` such as train.learning_rate=1e-5 made to it.

        Paths in it are those of the directory one works in. Raises OptionsError with all faults and
        their lines.
        """
        return _Reading(apply_changes(read_recipe_text(Path(path)), changes)).recipe()

    def step(self, name: str) -> RecipeStep:
        """Returns the step of that name."""
        return next(step for step in self.steps if step.name == name)


class _Reading:
    """One recipe being read: finds every fault before it raises any."""

    def __init__(self, text: RecipeText) -> None:
        self.text = text
        self.values = text.values
        self.faults = FaultList(text)
        self.before: dict[str, Mapping[str, str]] = {}

    def recipe(self) -> Recipe:
        for key in self.values:
            if key not in TOP_KEYS:
                self.faults.unknown((key,), "key", key, [*TOP_KEYS, *self._step_names()])
        steps = self.values.get("steps")
        if not isinstance(steps, dict) or not steps:
            self.faults.add(("steps",), "expected steps: name → options")
            steps = {}
        self.shared = self._mapping(("encoder_options",))
        self._shared_options()
        read = [self._step(name, given) for name, given in steps.items()]
        self.faults.raise_any()
        return Recipe(self.text.path, [step for step in read if step is not None], self.values)

    def _step_names(self) -> list[str]:
        steps = self.values.get("steps")
        return list(steps) if isinstance(steps, dict) else []

    def _mapping(self, keys: tuple[str, ...]) -> dict[str, Any]:
        value = self.values.get(keys[0])
        if value is not None and not isinstance(value, dict):
            self.faults.add(keys, f"expected keys and values, found {value!r}")
        return dict(value) if isinstance(value, dict) else {}

    def _shared_options(self) -> None:
        self._options(("encoder_options",), (EncoderOptions,), self.shared)

    def _step(self, name: str, given: Any) -> RecipeStep | None:
        keys = ("steps", name)
        if name in TOP_KEYS:
            self.faults.add(keys, f"a step can't be called {name!r}, which is a key at the top")
        if not name.replace("-", "_").isidentifier():
            self.faults.add(keys, f"a step's name has letters, digits, - and _, found {name!r}")
        if given is not None and not isinstance(given, dict):
            self.faults.add(keys, f"expected the step's options, found {given!r}")
            return None
        whole = dict(given or {})
        kind_name = str(whole.pop(_DO, name))
        if kind_name not in kind_names():
            guess = nearest(kind_name, kind_names())
            self.faults.add(
                keys, f"unknown kind of step {kind_name!r}{guess}; name one of {', '.join(kind_names())} with do:"
            )
            self.before[name] = {}
            return None
        kind = load_kind(kind_name)
        ignored, own = kind.ignores(whole), dict(whole)
        named = {one.name: own.pop(one.name, None) for one in kind.inputs}
        inputs = {
            one.name: value
            for one in kind.inputs
            if (value := self._input(keys, one, named[one.name], ignored)) is not None
        }
        also = kind.also(whole)
        self.before[name] = {**kind.outputs, **also}
        try:
            classes = kind.options(whole)
        except OptionsError as error:
            self.faults.add_error(keys, error)
            return None
        options = self._options(keys, classes, own, [one.name for one in kind.inputs])
        return None if options is None else RecipeStep(name, kind_name, kind, options, inputs, also)

    def _options(
        self,
        keys: tuple[str, ...],
        classes: Sequence[type[Options]],
        given: Mapping[str, Any],
        inputs: Sequence[str] = (),
    ) -> dict[type[Options], Options] | None:
        """Returns an instance of each class from the values that are its fields; None where there are faults."""
        spelled = {one: _spellings(one) for one in classes}
        known = {key for spellings in spelled.values() for key in spellings}
        for key in given:
            if key not in known:
                self.faults.unknown((*keys, key), "option", key, [*known, *inputs, *([_DO] if inputs else [])])
        made: dict[type[Options], Options] = {}
        for one, spellings in spelled.items():
            start = self.shared if one is EncoderOptions and len(keys) > 1 else {}
            values = {key: value for key, value in {**start, **given}.items() if key in spellings}
            try:
                made[one] = one(**values)
            except OptionsError as error:
                self.faults.add_error(keys, error)
        return made if len(made) == len(spelled) else None

    def _input(self, keys: tuple[str, ...], one: StepInput, given: Any, ignored: frozenset[str]) -> Any:
        """Returns the References that an input names; None where there are none."""
        place = (*keys, one.name)
        if one.name in ignored:
            return None
        if given is None and one.default is not None:
            given, place = self.values.get(one.default), (one.default,)
        if given is None:
            if not one.optional:
                also = f", here or as {one.default} at the top" if one.default else ""
                self.faults.add(keys, f"option {one.name!r} is missing: {one.description}{also}")
            return None
        match one.shape:
            case "one":
                return self._reference(place, one, given)
            case "list":
                listed = given if isinstance(given, list) else [given]
                return [self._reference(place, one, value) for value in listed]
            case "named":
                if isinstance(given, list):
                    given = {str(value): value for value in given}
                if isinstance(given, dict):
                    return {name: self._reference((*place, name), one, value) for name, value in given.items()}
            case "pairs":
                if isinstance(given, dict) and all(isinstance(v, list) and len(v) == 2 for v in given.values()):
                    return {name: [self._reference(place, one, v) for v in pair] for name, pair in given.items()}
        wanted = "name → step" if one.shape == "named" else "name → [step, step]"
        self.faults.add(place, f"option {one.name!r}: expected {wanted}, found {given!r}")
        return None

    def _reference(self, keys: tuple[str, ...], one: StepInput, text: Any) -> Reference:
        if not isinstance(text, str) or not text:
            self.faults.add(keys, f"option {one.name!r}: expected a step's name or a path, found {text!r}")
            return Reference(str(text))
        if text in self.before and keys[0] == "steps":
            return self._output(keys, one, text)
        if text == "data" and one.takes == "dataset" and self.values.get("data"):
            text = str(self.values["data"])
        self._check_outside(keys, one, text)
        return Reference(text)

    def _output(self, keys: tuple[str, ...], one: StepInput, step: str) -> Reference:
        outputs = self.before[step]
        if one.takes not in outputs:
            gives = ", ".join(outputs) or "nothing"
            if outputs:
                self.faults.add(keys, f"option {one.name!r} takes a {one.takes}, and the step {step!r} gives {gives}")
            return Reference(step, step)
        return Reference(step, step, outputs[one.takes])

    def _check_outside(self, keys: tuple[str, ...], one: StepInput, text: str) -> None:
        """Adds a fault for what is neither a step before nor there; a model may be a name on the Hub."""
        if text in self._step_names() and not Path(text).exists():
            self.faults.add(keys, f"the step {text!r} comes later: put it before")
            return
        free = (one.takes == "model" and "/" in text) or (one.name == "source") or text == "minilm"
        if free or Path(text).expanduser().exists():
            return
        guess = nearest(text, [*self.before, *(["data"] if one.takes == "dataset" else [])])
        if one.takes != "model" or guess:
            self.faults.add(keys, f"option {one.name!r}: {text!r} is neither a step before nor a file{guess}")


def _spellings(kind: type[Options]) -> set[str]:
    """Returns the names of a class's fields; where a field has another spelling, such as `from`, that too."""
    return set(kind.model_fields) | {field.alias for field in kind.model_fields.values() if field.alias is not None}


def _labelled(label: str, value: Any) -> Iterator[tuple[str, Reference]]:
    if isinstance(value, Reference):
        yield label, value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _labelled(f"{label}.{name}", one)
    else:
        for number, one in enumerate(value, start=1):
            yield from _labelled(f"{label}.{number}", one)
