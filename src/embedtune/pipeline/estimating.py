"""What the steps that aren't done will take: time, memory and money, and what each estimate rests on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedtune.artifact import MANIFEST
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import EmbedtuneError
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions
from embedtune.pipeline.asking import asks, money_for_asking
from embedtune.pipeline.foreseeing import WEIGHTS_STAY, DataAhead, Texts, WorkAhead, data_after, option, work_ahead
from embedtune.pipeline.planning import PlannedStep
from embedtune.pipeline.rates import Rates, measure_rates
from embedtune.pipeline.recipe import RecipeStep, Reference
from embedtune.pipeline.run_folder import STEP, RunFolder

__all__ = ["Estimate", "Estimator"]

_FLOAT_BYTES = 4
_PLUGINS = ("method", "backend", "converter", "retriever", "format", "to", "filters")


@dataclass(frozen=True)
class Estimate:
    """None is unknown; a cost of 0 means that nobody is asked for money."""

    seconds: float | None
    memory_bytes: int | None
    cost: float | None
    rests_on: str


class Estimator:
    """Estimates the steps of a plan in order; what a step before encodes is in the cache for those after it."""

    def __init__(self, folder: RunFolder, cache: EmbeddingCache, replies: Path | None = None) -> None:
        self._folder = folder
        self._cache = cache
        self._replies = replies
        self._read: dict[str, RetrievalDataset] = {}
        self._ahead: dict[str, DataAhead] = {}
        self._models: dict[str, tuple[str, str]] = {}
        self._encoded: set[tuple[str, int]] = set()
        self._rates: dict[str, Rates | None] = {}
        self._missing: dict[tuple[str, int, str], float] = {}
        self._general: list[DataAhead] | None = None
        self._trains: int | None = None
        self._history = list(_finished_steps(folder.folder.parent))

    def estimate(self, planned: Sequence[PlannedStep]) -> dict[str, Estimate]:
        """Returns an estimate for each step that isn't done; measures for some seconds what wasn't measured before."""
        self._trains = self._asked_negatives([one.step for one in planned])
        found = {}
        for one in planned:
            self._follow(one)
            if one.state != "done":
                found[one.step.name] = self._step(one)
        return found

    def _follow(self, one: PlannedStep) -> None:
        """Notes the dataset that a step leaves, or will leave, and whose weights its model has."""
        step, data = one.step, self._data(one.step.inputs.get("data"))
        place = self._folder.step_folder(step.name) / step.outputs.get("dataset", "")
        after = self._of_file(place) if one.state == "done" and "dataset" in step.outputs else data_after(step, data)
        if after is not None:
            self._ahead[step.name] = after
        base = step.inputs.get("base", step.inputs.get("encoder", step.inputs.get("model")))
        if "model" in step.outputs and isinstance(base, Reference):
            root, weights = self._model(base)
            self._models[step.name] = (root, weights if option(step, "method") in WEIGHTS_STAY else step.name)

    def _step(self, one: PlannedStep) -> Estimate:
        step, data = one.step, self._data(one.step.inputs.get("data"))
        if "data" in step.inputs and data is None:
            waits = step.inputs["data"].text
            cost = 0.0 if asks(step) is None else None
            return Estimate(None, None, cost, f"unknown before {waits} is done: nobody knows how much it gives")
        if data is not None:
            guards = self._guards(step, data)
            work = work_ahead(step, data, guards)
            asking = money_for_asking(step, data, work.judged if work else 0, self._replies)
            if asking is not None and (work is None or not work.encodes):
                return Estimate(None, None, asking.cost, asking.words)
            if work is not None:
                own = self._computed(step, data, work)
                return own if asking is None else Estimate(
                    None, own.memory_bytes, asking.cost, f"{own.rests_on}; {asking.words}"
                )  # fmt: skip
        return self._from_history(one, data)

    def _computed(self, step: RecipeStep, data: DataAhead, work: WorkAhead) -> Estimate:
        """Returns the estimate of a step that encodes or trains."""
        root = next((self._model(step.inputs[name])[0] for name in _model_inputs(step)), None)
        rates = None if root is None else self._rates_of(root, step, data)
        if root is None or rates is None:
            return Estimate(None, None, 0.0, "unknown: the encoder isn't on this machine, or can't be loaded")
        seconds = work.anew / rates.documents_per_s
        seconds += sum(self._encoding(one, self._model(step.inputs[one.model]), rates) for one in work.encodes)
        memory = rates.memory_bytes + _FLOAT_BYTES * rates.dim * data.documents
        words = f"{rates.documents_per_s:,.0f} documents and {rates.queries_per_s:,.0f} queries encoded a second"
        if work.trained_texts:
            if rates.train_seconds_per_text is None:
                return Estimate(None, memory, 0.0, "unknown: too few queries to measure a training step on")
            seconds += work.trained_texts * rates.train_seconds_per_text
            memory += rates.train_bytes
            words += f", {1 / rates.train_seconds_per_text:,.1f} texts trained"
        besides = f"; without {work.besides}" if work.besides else ""
        return Estimate(seconds, memory, 0.0, f"{words}, measured here on some of the data's texts{besides}")

    def _encoding(self, texts: Texts, model: tuple[str, str], rates: Rates) -> float:
        """Returns the seconds for what neither the cache nor a step before has."""
        root, weights = model
        data, documents = texts.data, texts.documents
        of_documents, of_queries = (
            (1.0, 1.0) if weights else (self._share(root, rates, data, kind) for kind in ("document", "query"))
        )
        place = (f"{root}\0{weights}", id(data.texts))
        if place in self._encoded:
            documents = 0
        elif documents:
            self._encoded.add(place)
        return documents * of_documents / rates.documents_per_s + texts.queries * of_queries / rates.queries_per_s

    def _share(self, root: str, rates: Rates, data: DataAhead, kind: Any) -> float:
        """Returns which share of the texts isn't in the cache."""
        place = (root, id(data.texts), kind)
        if place not in self._missing:
            texts = list((data.texts.corpus if kind == "document" else data.texts.queries).values())
            self._missing[place] = self._cache.missing(rates, texts, kind) / max(1, len(texts))
        return self._missing[place]

    def _rates_of(self, root: str, step: RecipeStep, data: DataAhead) -> Rates | None:
        if root not in self._rates:
            options = next((one for one in step.options.values() if type(one) is EncoderOptions), EncoderOptions())
            place = self._cache.folder
            if place is None:
                return None
            self._rates[root] = measure_rates(root, options, data.texts, place, negatives=self._trains)
        return self._rates[root]

    def _asked_negatives(self, steps: Iterable[RecipeStep]) -> int | None:
        """Returns how many negatives a training of weights in the recipe has; None where there is none."""
        trained = [one for one in steps if one.kind_name == "train" and option(one, "method") not in WEIGHTS_STAY]
        return max((option(one, "negatives") for one in trained), default=None)

    def _from_history(self, one: PlannedStep, data: DataAhead | None) -> Estimate:
        """Returns what the step took before, here or in a run beside this one, on about as much."""
        step = one.step
        cost = 0.0 if asks(step) is None else None
        alike = [made for made in self._history if _alike(made["parts"], step)]
        if not alike:
            return Estimate(None, None, cost, "unknown: no step of its kind was done in these runs yet")
        made = alike[-1]
        size, before = _size(data), sum(made.get("sizes", {}).get(name, 0) for name in ("documents", "queries"))
        if not (size and before):
            return Estimate(made["seconds"], None, cost, "what the last step of its kind in these runs took")
        words = "what the last step of its kind in these runs took, by documents and queries"
        return Estimate(made["seconds"] * size / before, None, cost, words)

    def _data(self, reference: Any) -> DataAhead | None:
        if not isinstance(reference, Reference):
            return None
        return self._ahead.get(reference.step) if reference.step else self._of_file(Path(reference.text))

    def _of_file(self, path: Path) -> DataAhead | None:
        if str(path) not in self._read:
            try:
                self._read[str(path)] = RetrievalDataset.read(path)
            except EmbedtuneError:  # the run will say it
                return None
        return DataAhead.of(self._read[str(path)])

    def _model(self, reference: Any) -> tuple[str, str]:
        """Returns the model that a model goes back to, and the step that gave it weights of its own, or nothing."""
        if reference.step is None:
            return reference.text, ""
        return self._models.get(reference.step, (reference.text, reference.step))

    def _guards(self, step: RecipeStep, data: DataAhead) -> list[DataAhead]:
        if not any(one.name == "guard" for one in step.kind.inputs):
            return []
        named = [self._data(one) for one in step.inputs.get("guard", {}).values()]
        if named:
            return [one for one in named if one is not None]
        from embedtune.data.general import general_guards

        if self._general is None:
            self._general = [DataAhead.of(guard) for guard in general_guards(data.texts).values()]
        return self._general


def _model_inputs(step: RecipeStep) -> list[str]:
    return [name for name in ("encoder", "base", "model") if isinstance(step.inputs.get(name), Reference)]


def _finished_steps(runs: Path) -> Iterable[Mapping[str, Any]]:
    """Yields what is recorded of every finished step in the runs of a folder, the oldest first."""
    found = []
    for path in runs.glob(f"*/*/{MANIFEST}"):
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            if manifest["kind"] == STEP:
                found.append((manifest["created"], manifest["made_from"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return [made for _, made in sorted(found, key=lambda pair: str(pair[0]))]


def _alike(parts: Mapping[str, Any], step: RecipeStep) -> bool:
    """Returns whether a finished step is of the same kind and names the same plugins."""
    if parts["kind"] != step.kind_name:
        return False
    own = step.option_values()
    return all(parts["options"].get(name) == own.get(name) for name in _PLUGINS)


def _size(data: DataAhead | None) -> int:
    return 0 if data is None else data.documents + len(data.texts.queries)
