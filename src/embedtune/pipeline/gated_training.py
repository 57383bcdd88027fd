"""Train, look at guards, mix with the base where that is better, and let through only what passes the gate."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from embedtune import progress
from embedtune.artifact import provenance, refuse_strangers
from embedtune.data.training_set import TrainingSet
from embedtune.errors import StorageError
from embedtune.evaluate.guards import Guards, guard_split
from embedtune.merge.choosing import Candidate, WeightChoice, choose_weight
from embedtune.merge.mixture import load_mixture
from embedtune.merge.options import ChooseOptions
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions
from embedtune.models.fingerprint import model_fingerprint
from embedtune.models.moved_documents import has_moved_documents
from embedtune.models.sentence_transformer import apply_options, load_model
from embedtune.models.tuned import TUNED_MODEL, TunedModel
from embedtune.options import Options
from embedtune.train.preflight import refuse_what_has_no_gradients
from embedtune.train.together import join, lost_processes_named, on_writer
from embedtune.train.training import TrainOptions, TrainResult, train

__all__ = ["GatedTraining", "Outcome", "train_alone", "train_and_gate"]

_SUFFIX = "-tuned"
_WHOLE = 1.0
_NO_BETTER = "nothing was better on val than the base model, so that is what came out"
_VECTOR_METHODS = frozenset({"adapter", "nudge"})
"""What they change is applied to cached vectors, so every corpus can be searched whole."""


@dataclass(frozen=True)
class GatedTraining:
    """What is trained, on what, and what the result is held against."""

    training_set: TrainingSet
    encoder: str
    folder: Path
    method: str
    options: Options
    encoder_options: EncoderOptions
    choose: ChooseOptions
    guards: Guards
    cache: EmbeddingCache
    made_from: Mapping[str, Any]
    mixing: bool = True
    overwrite: bool = False

    @property
    def tuned_folder(self) -> Path:
        """Returns where the tuned model is until it is clear what comes out, and stays if something else does."""
        return self.folder.with_name(self.folder.name + _SUFFIX)


@dataclass(frozen=True)
class Outcome:
    """The model that came out, which of the three it is, and why, a sentence a line."""

    model: TunedModel
    came_out: Literal["tuned", "merged", "base"]
    why: Sequence[str]
    choice: WeightChoice | None


@lost_processes_named()
def train_and_gate(job: GatedTraining) -> Outcome:
    """Trains, chooses the share of the tuned model on val, and writes it if it passes the gate on val, else the base.

    The test split is never looked at. A tuned model that isn't what comes out is kept beside it,
    in FOLDER-tuned; a run that was killed goes on from there. Raises EmbedtuneError as train,
    choose_weight and merge do. Several processes train together, and the first one does the rest.
    """
    join(job.encoder_options.device)
    refuse_strangers(job.folder, TUNED_MODEL, job.overwrite)
    if isinstance(job.options, TrainOptions):
        refuse_what_has_no_gradients(job.encoder, job.encoder_options)
    _say_trained_guards(job)
    tuned = _trained(job)
    return on_writer(lambda: _judged(job, tuned))


def _judged(job: GatedTraining, tuned: TunedModel) -> Outcome:
    """Returns what comes out, written, once it is clear which of the three that is."""
    if not tuned.manifest["made_from"]["chosen"]["step"]:
        outcome = _write_base(job, tuned, [_NO_BETTER], None)
        shutil.rmtree(tuned.folder)  # it is the base as well
        return outcome
    choice = choose_weight(
        job.training_set.val_dataset,
        job.encoder,
        str(tuned.folder),
        guards=job.guards,
        options=_choosing(job, tuned),
        encoder_options=job.encoder_options,
        cache=job.cache,
    )
    for line in choice.lines():
        progress.say(line)
    passing = [candidate for candidate in choice.candidates if candidate.verdict.passed]
    if not passing:
        return _write_base(job, tuned, _why_refused(choice, tuned.folder), choice)
    best = max(passing, key=lambda candidate: (candidate.verdict.gain.tuned, -candidate.weight))
    return _write_tuned(job, tuned, best, choice) if best.weight == _WHOLE else _write_merged(job, tuned, best, choice)


def _say_trained_guards(job: GatedTraining) -> None:
    """Warns of guards whose queries are trained on, which can't show what is forgotten."""
    queries = job.training_set.dataset.queries
    trained = {queries[example.query_id].strip() for example in job.training_set.examples}
    for name, guard in job.guards.items():
        asked = guard.split_query_ids(guard_split(guard, job.choose.val_split))
        seen = sum(guard.queries[query_id].strip() in trained for query_id in asked)
        if seen:
            progress.say(
                f"warning: {seen} of the {len(asked)} queries of the guard {name!r} are trained on, so it can't show "
                "what is forgotten; keep a guard's queries in a test split that training doesn't see"
            )


def train_alone(job: GatedTraining) -> Outcome:
    """Trains and writes the tuned model, which is the base where nothing beat it; nothing is mixed or judged."""
    result = _train(job, job.folder, job.made_from)
    if result.chosen.step:
        return Outcome(result.model, "tuned", [], None)
    return Outcome(result.model, "base", [_NO_BETTER], None)


def _trained(job: GatedTraining) -> TunedModel:
    """Returns the tuned model in its own folder, trained now or by an earlier run of the same."""
    key, before = on_writer(lambda: _trained_before(job))
    if before is not None:
        progress.say(f"{job.tuned_folder} was trained before by the same command, reused")
        return before
    return _train(job, job.tuned_folder, dict(job.made_from) | {"key": key}).model


def _trained_before(job: GatedTraining) -> tuple[str, TunedModel | None]:
    """Returns the key of this training, and what an earlier one of the same key left."""
    key = _key(job)
    try:
        found = TunedModel.open(job.tuned_folder)
    except StorageError:
        return key, None
    return key, found if found.manifest["made_from"].get("key") == key else None


def _train(job: GatedTraining, folder: Path, made_from: Mapping[str, Any]) -> TrainResult:
    return train(
        job.training_set,
        job.encoder,
        folder,
        method=job.method,
        options=job.options,
        encoder_options=job.encoder_options,
        cache=job.cache,
        made_from=made_from,
        overwrite=job.overwrite,
    )


def _key(job: GatedTraining) -> str:
    """Returns a hash of all that decides what training gives."""
    examples = [[e.query_id, e.positive_id, *e.negative_ids] for e in job.training_set.examples]
    parts = {
        "base": model_fingerprint(load_model(job.encoder, job.encoder_options)),
        "encoder_options": job.encoder_options.model_dump(),
        "method": job.method,
        "options": job.options.model_dump(),
        "dataset": job.training_set.dataset.content_hash(),
        "examples": examples,
        "replayed": None if job.training_set.replayed is None else vars(job.training_set.replayed),
        "made_from": dict(job.made_from),
        "versions": provenance()["versions"],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest()


def _choosing(job: GatedTraining, tuned: TunedModel) -> ChooseOptions:
    """Returns the options of the choice: whole corpora where vectors are cached, one weight where nothing mixes."""
    changes: dict[str, Any] = {}
    if job.method in _VECTOR_METHODS:
        sizes = [len(dataset.corpus) for dataset in (job.training_set.val_dataset, *job.guards.values())]
        changes["choose_documents"] = max(sizes)
    folded = getattr(job.options, "fold", False)
    if not job.mixing or folded or has_moved_documents(str(tuned.folder)):
        changes["grid"] = (_WHOLE,)
    return job.choose.model_copy(update=changes)


def _why_refused(choice: WeightChoice, tuned_folder: Path) -> list[str]:
    """Returns the reasons of the candidate that came nearest to passing."""
    nearest = choice.chosen or min(choice.candidates, key=lambda candidate: len(candidate.verdict.reasons))
    return [
        f"no share of the tuned model passes the gate; the nearest is {nearest.weight:g}:",
        *nearest.verdict.reasons,
        f"the base came out as it was; the tuned model is kept in {tuned_folder}",
    ]


def _write_base(job: GatedTraining, tuned: TunedModel, why: Sequence[str], choice: WeightChoice | None) -> Outcome:
    model = load_model(job.encoder, job.encoder_options)
    apply_options(model, job.encoder_options)
    record = _record(tuned, "base", why, choice)
    return Outcome(TunedModel.save(model, job.folder, record, overwrite=job.overwrite), "base", why, choice)


def _write_merged(job: GatedTraining, tuned: TunedModel, best: Candidate, choice: WeightChoice) -> Outcome:
    whole = choice.candidates[-1]
    why = [
        f"{best.weight:g} of the tuned model and {1 - best.weight:g} of the base came out: {_compared(best, whole)}",
        *best.verdict.lines()[:-1],
        f"the tuned model alone is kept in {tuned.folder}",
    ]
    mixed = load_mixture(job.encoder, [str(tuned.folder)], job.encoder_options).model([best.weight])
    record = _record(tuned, "merged", why, choice) | {"weight": best.weight}
    return Outcome(TunedModel.save(mixed, job.folder, record, overwrite=job.overwrite), "merged", why, choice)


def _write_tuned(job: GatedTraining, tuned: TunedModel, best: Candidate, choice: WeightChoice) -> Outcome:
    why = ["the tuned model came out as it is", *best.verdict.lines()[:-1]]
    record = _record(tuned, "tuned", why, choice)
    model = TunedModel.copy(tuned.folder, job.folder, record, overwrite=job.overwrite)
    shutil.rmtree(tuned.folder)
    return Outcome(model, "tuned", why, choice)


def _compared(best: Candidate, whole: Candidate) -> str:
    """Returns why not the tuned model alone."""
    if whole.weight != _WHOLE:
        return "the tuned model alone wasn't tried"
    if not whole.verdict.passed:
        return f"alone it doesn't pass ({'; '.join(whole.verdict.reasons)})"
    measure = best.verdict.measure
    return (
        f"val {measure} {best.verdict.gain.tuned:.4f} against {whole.verdict.gain.tuned:.4f} of the tuned model alone"
    )


def _record(tuned: TunedModel, came_out: str, why: Sequence[str], choice: WeightChoice | None) -> dict[str, Any]:
    """Returns how the tuned model was made, and what came out and why."""
    made_from = dict(tuned.manifest["made_from"])
    return made_from | {
        "came_out": came_out,
        "why": list(why),
        "choice": None if choice is None else choice.to_json(),
    }
