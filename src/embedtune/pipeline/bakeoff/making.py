"""Makes a tuned system within the budget, or says why it isn't to be had."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedtune.artifact import write_text_whole
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.general import general_guards
from embedtune.data.training_set import TrainingSet
from embedtune.errors import EmbedtuneError, StorageError
from embedtune.evaluate.apart import queries_about
from embedtune.evaluate.guard_options import GuardOptions
from embedtune.merge.choosing import Candidate, choose_weight
from embedtune.merge.merging import merge
from embedtune.merge.options import ChooseOptions
from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options
from embedtune.pipeline.bakeoff.options import BakeoffOptions
from embedtune.pipeline.bakeoff.words import say
from embedtune.pipeline.step_kind import StepJob, StepResult
from embedtune.report.content import Words
from embedtune.train.methods import METHODS
from embedtune.train.methods.adapter import AdapterOptions
from embedtune.train.nudge_training import FEWEST_COVERED
from embedtune.train.training import TrainOptions, TrainResult, train

__all__ = ["MADE", "Made", "mix", "train_method"]

MADE = "made"
_FILE, _MODEL, _LOG = "made.json", "model", "training.jsonl"
_SHARE_FOR_A_VALIDATION = 0.1
_FEWEST_DOCUMENTS, _MOST_DOCUMENTS, _MOST_MIXED_DOCUMENTS = 200, 20_000, 5_000
_LEAST_SECONDS = 1.0
_SHARES = (0.6, 0.4, 0.8, 0.2)
"""Of the tuned weights, in the order in which they are tried; the whole is a system of its own."""


@dataclass(frozen=True)
class Made:
    """A tuned model and the seconds that it took, or why there is none; `score` is the val score that chose it."""

    left_out: Words | None
    seconds: float
    model: Path | None = None
    score: float = 0.0
    words: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path | str) -> Made:
        """Returns what a step left in its folder."""
        content = json.loads((Path(folder) / _FILE).read_text(encoding="utf-8"))
        left_out = None if content["left_out"] is None else Words(*content["left_out"])
        model = None if left_out is not None else Path(folder) / _MODEL
        return cls(left_out, content["seconds"], model, content["score"], tuple(content["words"]))


class _LeftOutError(Exception):
    """Ends the making of a system that isn't to be had; `words` say why."""

    def __init__(self, words: Words) -> None:
        super().__init__(words.en)
        self.words = words


def train_method(job: StepJob, method: str) -> StepResult:
    """Trains by a method until the budget is used up."""
    started = time.monotonic()
    place = job.folder / MADE
    try:
        result = _train(job, method, place / _MODEL, started)
        if not result.chosen.step:
            raise _LeftOutError(_nothing_better(result, method))
    except _LeftOutError as reason:
        return _without(place, reason.words, time.monotonic() - started)
    except StorageError:
        raise
    except EmbedtuneError as error:  # a row that says why, in the error's own words
        return _without(place, Words(error.found, error.found), time.monotonic() - started)
    seconds = max(time.monotonic() - started, _seconds_in_log(place / _MODEL))
    words = list(result.model.manifest["made_from"].get("words", ()))
    _write(place, {"left_out": None, "seconds": seconds, "score": result.chosen.score, "words": words})
    return StepResult([f"{result.chosen.score:.4f} on val after {seconds:.0f} s", *words])


def mix(job: StepJob) -> StepResult:
    """Mixes the better one of the tuned weights with the base: the share that is best on val and keeps the guards."""
    started = time.monotonic()
    place = job.folder / MADE
    made = [Made.read(folder) for folder in job.inputs["tuned"]]
    tuned = [one for one in made if one.model is not None]
    if not tuned:
        return _without(place, say("out.nothing_to_mix"), 0.0)
    source = max(tuned, key=lambda one: one.score)
    try:
        best = _best_share(job, str(source.model), started)
        base, options = job.inputs["encoder"], job.of(EncoderOptions)
        shutil.rmtree(place / _MODEL, ignore_errors=True)
        merge(base, [str(source.model)], place / _MODEL, weights=[best.weight], encoder_options=options)
    except _LeftOutError as reason:
        return _without(place, reason.words, time.monotonic() - started)
    except StorageError:
        raise
    except EmbedtuneError as error:
        return _without(place, Words(error.found, error.found), time.monotonic() - started)
    name = source.model.parent.parent.name if source.model is not None else ""
    words = [f"{best.weight:g} of {name} and {1 - best.weight:g} of the base"]
    seconds = source.seconds + time.monotonic() - started
    _write(place, {"left_out": None, "seconds": seconds, "score": best.verdict.gain.tuned, "words": words})
    return StepResult(words)


def _train(job: StepJob, method: str, folder: Path, started: float) -> TrainResult:
    options, data = job.of(BakeoffOptions), job.dataset()
    if not any(data.positives(query_id) for query_id in data.queries_split.get("train", ())):
        raise _LeftOutError(say("out.no_train"))
    training_set = TrainingSet.build(data, "train", data.negative_docs, options.negatives)
    if method == "nudge":
        _refuse_uncovered(data, training_set)
    speed = _documents_per_second(job)
    left = max(_LEAST_SECONDS, options.budget_seconds - (time.monotonic() - started))
    return train(
        training_set,
        job.inputs["encoder"],
        folder,
        method=method,
        options=_method_options(METHODS.load(method).OPTIONS, left, int(speed * options.budget_seconds)),
        encoder_options=job.of(EncoderOptions),
        cache=job.workshop.cache,
        made_from={"dataset": job.inputs["data"], "budget_s": options.budget_seconds},
        overwrite=True,
    )


def _method_options(kind: type[Options], seconds: float, documents_in_budget: int) -> Options:
    """Returns the method's own defaults with the time that is left, and validations that take a tenth of all each."""
    if issubclass(kind, TrainOptions):
        documents = int(documents_in_budget * _SHARE_FOR_A_VALIDATION)
        documents = min(_MOST_DOCUMENTS, max(_FEWEST_DOCUMENTS, documents))
        return kind(max_minutes=seconds / 60, val_max_documents=documents, checkpoint_minutes=1)
    return kind(max_minutes=seconds / 60) if issubclass(kind, AdapterOptions) else kind()


def _refuse_uncovered(data: RetrievalDataset, training_set: TrainingSet) -> None:
    """Ends NUDGE where too few val queries are about documents that it can move."""
    asked = [query_id for query_id in data.split_query_ids("val") if data.positives(query_id)]
    covered = queries_about(data, asked, {example.positive_id for example in training_set.examples})
    if len(covered) < FEWEST_COVERED * len(asked):
        share = len(covered) / len(asked)
        raise _LeftOutError(say("out.coverage", covered=len(covered), queries=len(asked), share=share))


def _nothing_better(result: TrainResult, method: str) -> Words:
    if method == "nudge":
        return say("out.no_move")
    return say("out.no_better", steps=result.checkpoints[-1].step)


def _best_share(job: StepJob, tuned: str, started: float) -> Candidate:
    """Returns the best share of those that fit into the budget; raises _LeftOutError where none will do."""
    budget, data = job.of(BakeoffOptions).budget_seconds, job.dataset()
    guards = job.guards() or general_guards(data)
    in_a_corpus = int(_documents_per_second(job) * budget / (len(_SHARES) + 1) / (1 + len(guards)))
    documents = min(_MOST_MIXED_DOCUMENTS, max(_FEWEST_DOCUMENTS, in_a_corpus))
    candidates: list[Candidate] = []
    longest = 0.0
    for share in _SHARES:
        before = time.monotonic()
        if longest and before - started + longest > budget:
            break
        limits = job.of(GuardOptions).model_dump() | {"grid": (share,), "choose_documents": documents}
        choice = choose_weight(
            data,
            job.inputs["encoder"],
            tuned,
            guards=guards,
            options=ChooseOptions(**limits),
            encoder_options=job.of(EncoderOptions),
            cache=job.workshop.cache,
        )
        longest = max(longest, time.monotonic() - before)
        candidates += [choice.chosen] if choice.chosen is not None else []
    if not candidates:
        raise _LeftOutError(say("out.no_share"))
    return max(candidates, key=lambda candidate: (candidate.verdict.gain.tuned, -candidate.weight))


def _documents_per_second(job: StepJob) -> float:
    return float(json.loads(Path(job.inputs["speed"]).read_text(encoding="utf-8"))["documents_per_second"])


def _seconds_in_log(model: Path) -> float:
    """Returns the seconds of a training, those before it was killed among them; 0 where there is no log."""
    if not (model / _LOG).is_file():
        return 0.0
    lines = (model / _LOG).read_text(encoding="utf-8").splitlines()
    return max((float(json.loads(line).get("seconds", 0)) for line in lines), default=0.0)


def _without(place: Path, why: Words, seconds: float) -> StepResult:
    shutil.rmtree(place / _MODEL, ignore_errors=True)
    _write(place, {"left_out": list(why), "seconds": seconds, "score": 0.0, "words": []})
    return StepResult([f"left out: {why.en}"])


def _write(place: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps({**content, "seconds": round(content["seconds"], 1)}, ensure_ascii=False, indent=2)
    write_text_whole(place / _FILE, text + "\n")
