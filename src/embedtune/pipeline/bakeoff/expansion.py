"""A bake-off as a recipe: what is made, measured, decided and shown, each a step that is done once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import DataError
from embedtune.evaluate.guard_options import GuardOptions
from embedtune.mine.options import MineOptions
from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options
from embedtune.pipeline.bakeoff.choosing import RECOMMENDATION, choose
from embedtune.pipeline.bakeoff.making import MADE, mix, train_method
from embedtune.pipeline.bakeoff.measuring import MEASURED, SHOWN, measure, probe_speed, show_test
from embedtune.pipeline.bakeoff.options import BakeoffOptions, MeasureOptions
from embedtune.pipeline.bakeoff.systems import SYSTEMS, TRAINED
from embedtune.pipeline.kinds import load_kind
from embedtune.pipeline.kinds.mine import MineStep
from embedtune.pipeline.recipe import Recipe, RecipeStep, Reference
from embedtune.pipeline.step_kind import StepJob, StepKind, StepResult
from embedtune.search.reranker_options import RerankerOptions

__all__ = ["DECIDED", "MINED", "Bakeoff", "expand", "show_name", "val_name"]

DECIDED, MINED = "recommendation", "negatives"
_VISIBLE, _SPEED = "without-test", "speed"
_VERSION = 1


@dataclass(frozen=True)
class Bakeoff:
    """What is asked: a dataset, an encoder, guards by name, perhaps a reranker, and how."""

    dataset: str
    encoder: str
    guards: Mapping[str, str]
    reranker: str | None
    options: BakeoffOptions
    guard_options: GuardOptions
    encoder_options: EncoderOptions
    reranker_options: RerankerOptions


def val_name(system: str) -> str:
    """Returns the name of the step that measures a system on val."""
    return f"val-{system}"


def show_name(system: str) -> str:
    """Returns the name of the step that shows a system on test."""
    return f"test-{system}"


def expand(asked: Bakeoff) -> Recipe:
    """Returns the bake-off as a recipe. Everything before the recommendation reads a dataset without test queries.

    Raises DataError where val or test has no query with a relevant document.
    """
    data = RetrievalDataset.read(asked.dataset)
    for split in ("val", "test"):
        _refuse_empty(data, split)
    return Recipe(Path("bakeoff"), _Expansion(asked, _needs_mining(data)).steps(), _values(asked))


def _refuse_empty(data: RetrievalDataset, split: str) -> None:
    if not any(data.positives(query_id) for query_id in data.queries_split.get(split, ())):
        raise DataError(
            f"no query of the split {split!r} has a relevant document, and a bake-off chooses on val and shows on test",
            where=f"queries_split[{split!r}]",
            remedy="divide the queries with embedtune split",
        )


def _needs_mining(data: RetrievalDataset) -> bool:
    """Returns whether there are training queries and none has a negative."""
    train = [query_id for query_id in data.queries_split.get("train", ()) if data.positives(query_id)]
    return bool(train) and not any(data.negative_docs.get(query_id) for query_id in train)


def _values(asked: Bakeoff) -> dict[str, Any]:
    return {
        "data": asked.dataset,
        "encoder": asked.encoder,
        "guard": dict(asked.guards),
        "reranker": asked.reranker,
        **json.loads(asked.options.model_dump_json()),
        **json.loads(asked.guard_options.model_dump_json()),
        "encoder_options": json.loads(asked.encoder_options.model_dump_json()),
    }


class _Expansion:
    def __init__(self, asked: Bakeoff, mines: bool) -> None:
        self.asked = asked
        self.mines = mines and asked.options.negatives > 0
        self.visible = Reference(_VISIBLE, _VISIBLE, "dataset.json")
        self.encoder = Reference(asked.encoder)
        self.guards = {name: Reference(place) for name, place in asked.guards.items()}

    def steps(self) -> list[RecipeStep]:
        steps = [
            self._step(_VISIBLE, hide_test, {"dataset": "dataset.json"}, {"data": Reference(self.asked.dataset)}),
            self._step(_SPEED, probe_speed, {"speed": "speed.json"}, self._base_inputs(), (EncoderOptions,)),
        ]
        steps += [self._val(name) for name in ("base", "bm25", "hybrid", "rerank")]
        steps += [self._mining()] if self.mines else []
        for name in TRAINED:
            steps += [self._training(name), self._val(name)]
        steps += [self._mixing(), self._val("merged"), self._deciding()]
        return [*steps, *(self._test(name) for name in SYSTEMS)]

    def _step(
        self,
        name: str,
        work: Callable[[StepJob], StepResult],
        outputs: Mapping[str, str],
        inputs: Mapping[str, Any],
        options: tuple[type[Options], ...] = (),
        *,
        resumes: bool = False,
    ) -> RecipeStep:
        kind = StepKind(_VERSION, outputs, (), lambda given: options, work, resumes=resumes)
        return RecipeStep(name, f"bakeoff {name}", kind, {one: self._options(one) for one in options}, inputs)

    def _options(self, kind: type[Options]) -> Options:
        asked = self.asked
        known = (
            asked.options,
            asked.options.measuring(),
            asked.guard_options,
            asked.encoder_options,
            asked.reranker_options,
        )
        return next(options for options in known if type(options) is kind)

    def _base_inputs(self) -> dict[str, Any]:
        return {"data": self.visible, "encoder": self.encoder}

    def _mining(self) -> RecipeStep:
        options: dict[type[Options], Options] = {
            MineStep: MineStep(),
            MineOptions: MineOptions(negatives=self.asked.options.negatives),
            EncoderOptions: self.asked.encoder_options,
        }
        return RecipeStep(MINED, "mine", load_kind("mine"), options, self._base_inputs())

    def _training(self, name: str) -> RecipeStep:
        inputs = self._base_inputs() | {"speed": Reference(_SPEED, _SPEED, "speed.json")}
        if self.mines:
            inputs["data"] = Reference(MINED, MINED, "dataset.json")
        work = partial(train_method, method=SYSTEMS[name].method or name)
        return self._step(name, work, {"made": MADE}, inputs, (BakeoffOptions, EncoderOptions), resumes=True)

    def _mixing(self) -> RecipeStep:
        inputs = self._base_inputs() | {
            "speed": Reference(_SPEED, _SPEED, "speed.json"),
            "tuned": [Reference(name, name, MADE) for name in ("full", "lora")],
            "guard": self.guards,
        }
        return self._step("merged", mix, {"made": MADE}, inputs, (BakeoffOptions, GuardOptions, EncoderOptions))

    def _val(self, name: str) -> RecipeStep:
        inputs = self._base_inputs() | self._made(name) | {"guard": self.guards}
        work = partial(measure, system=name)
        return self._step(val_name(name), work, {"measured": MEASURED}, inputs, self._measuring(name))

    def _test(self, name: str) -> RecipeStep:
        inputs = self._made(name) | {
            "data": Reference(self.asked.dataset),
            "encoder": self.encoder,
            "measured": Reference(val_name(name), val_name(name), MEASURED),
        }
        work = partial(show_test, system=name)
        return self._step(show_name(name), work, {"shown": SHOWN}, inputs, self._measuring(name))

    def _deciding(self) -> RecipeStep:
        systems = {name: Reference(val_name(name), val_name(name), MEASURED) for name in SYSTEMS}
        inputs = {"systems": systems, "guard": self.guards}
        return self._step(DECIDED, choose, {"recommendation": RECOMMENDATION}, inputs, (GuardOptions,))

    def _made(self, name: str) -> dict[str, Any]:
        if name == "rerank" and self.asked.reranker is not None:
            return {"reranker": Reference(self.asked.reranker)}
        return {"made": Reference(name, name, MADE)} if name in (*TRAINED, "merged") else {}

    @staticmethod
    def _measuring(name: str) -> tuple[type[Options], ...]:
        options: tuple[type[Options], ...] = (MeasureOptions, EncoderOptions)
        return (*options, RerankerOptions) if name == "rerank" else options


def hide_test(job: StepJob) -> StepResult:
    """Writes the dataset without the queries of test and all that belongs to them; the corpus stays whole."""
    data = job.dataset()
    seen = {query_id for split, ids in data.queries_split.items() if split != "test" for query_id in ids}
    hidden = set(data.queries_split["test"]) - seen
    without = replace(
        data,
        queries={name: text for name, text in data.queries.items() if name not in hidden},
        relevant_docs={name: judged for name, judged in data.relevant_docs.items() if name not in hidden},
        negative_docs={name: ids for name, ids in data.negative_docs.items() if name not in hidden},
        reference_answers={name: text for name, text in data.reference_answers.items() if name not in hidden},
        queries_split={
            split: [name for name in ids if name not in hidden]
            for split, ids in data.queries_split.items()
            if split != "test"
        },
    )
    without.write(job.folder / "dataset.json")
    return StepResult([f"{len(hidden):,} test queries are put away until it is decided"])
