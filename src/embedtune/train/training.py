"""Training set → tuned model, by any of the methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedtune import processes, progress
from embedtune.artifact import refuse_strangers
from embedtune.data.training_set import TrainingSet
from embedtune.errors import DataError, OptionsError
from embedtune.evaluate.doctor_options import DoctorOptions
from embedtune.evaluate.false_negatives import diagnose
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.tuned import TUNED_MODEL, TunedModel
from embedtune.options import Options
from embedtune.train.job import Checkpoint, TrainingJob
from embedtune.train.methods import METHODS
from embedtune.train.options import TrainOptions
from embedtune.train.preflight import refuse_bad_options, refuse_what_has_no_gradients, refuse_without_val
from embedtune.train.scale import choose_scale
from embedtune.train.together import join, lost_processes_named, on_writer

__all__ = ["Checkpoint", "TrainOptions", "TrainResult", "train"]

_FEWEST_QUERIES = 2
_QUERIES_DIAGNOSED = 100


@dataclass(frozen=True)
class TrainResult:
    """The tuned model, every validation, and the one that was kept (step 0 is the base model)."""

    model: TunedModel
    checkpoints: list[Checkpoint]
    chosen: Checkpoint


@lost_processes_named()
def train(
    training_set: TrainingSet,
    encoder: str,
    folder: Path,
    *,
    method: str = "full",
    options: Options | None = None,
    encoder_options: EncoderOptions | None = None,
    cache: EmbeddingCache | None = None,
    made_from: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> TrainResult:
    """Adapts an encoder by a method and writes the tuned model to `folder`.

    `options` are the method's own (TrainOptions for full). Whatever the method, the val split
    decides how far to go, and the base comes out as it was where nothing beat it. Before the
    first step the false-negative doctor looks at the negatives and warns. Raises
    EmbedtuneError where there is too little to learn from or the numbers break down; nothing is
    written then. Started by torchrun or accelerate, all processes train together, and one writes.
    """
    plugin = METHODS.load(method)
    options = options or plugin.OPTIONS()
    if not isinstance(options, plugin.OPTIONS):
        raise OptionsError(f"the method {method!r} takes {plugin.OPTIONS.__name__}, found {type(options).__name__}")
    refuse_strangers(folder, TUNED_MODEL, overwrite)
    _refuse_too_little(training_set)
    val_split = getattr(options, "val_split", None)
    if val_split is not None:
        refuse_without_val(training_set, val_split)
    encoder_options, cache = encoder_options or EncoderOptions(), cache or EmbeddingCache(None)
    encoded_before = dict(cache.encoded_of)
    record = dict(made_from or {})
    join(encoder_options.device)
    if isinstance(options, TrainOptions):
        refuse_what_has_no_gradients(encoder, encoder_options)
        refuse_bad_options(options)
        given = options
        chosen = on_writer(lambda: choose_scale(training_set, encoder, given, encoder_options, cache))
        options = options.model_copy(update={"scale": chosen.scale})
        record |= {"scale_from": chosen.source}
    elif processes.count() > 1:
        raise OptionsError(
            f"the method {method!r} learns from vectors that are encoded once, in one process",
            remedy="leave --num-processes out, or take --method full or lora",
        )
    elif training_set.own is not None or training_set.replayed is not None:
        raise OptionsError(
            f"the method {method!r} leaves the model's weights alone, so there is nothing to replay",
            remedy="leave --replay out, or take --method full or lora",
        )
    scale = getattr(options, "scale", None)
    learns_from_negatives = getattr(plugin, "LEARNS_FROM_NEGATIVES", True)
    doubts = []
    if learns_from_negatives:
        doubts = on_writer(lambda: _doubts(training_set, encoder, encoder_options, cache, scale))
    record |= {"doubts": doubts}
    job = TrainingJob(training_set, encoder, folder, encoder_options, cache, record, encoded_before, overwrite)
    tuned: TunedModel = plugin.fit(job, options)
    made = tuned.manifest["made_from"]
    checkpoints = [Checkpoint(**checkpoint) for checkpoint in made["checkpoints"]]
    return TrainResult(tuned, checkpoints, Checkpoint(**made["chosen"]))


def _doubts(
    training_set: TrainingSet, encoder: str, options: EncoderOptions, cache: EmbeddingCache, scale: float | None
) -> list[str]:
    """Returns what the false-negative doctor warns of, and says it; looks at nothing where there are no negatives."""
    negatives = {example.query_id: example.negative_ids for example in training_set.examples if example.negative_ids}
    if not negatives:
        return []
    doctor = DoctorOptions(diagnosed_queries=_QUERIES_DIAGNOSED, scale=scale or DoctorOptions().scale)
    diagnosis = diagnose(training_set.dataset, negatives, load_encoder(encoder, options), cache=cache, options=doctor)
    warnings = [] if diagnosis is None else list(diagnosis.warnings)
    for warning in warnings:
        progress.say(f"warning: {warning}")
    return warnings


def _refuse_too_little(training_set: TrainingSet) -> None:
    queries = {example.query_id for example in training_set.examples}
    if len(queries) < _FEWEST_QUERIES:
        raise DataError(
            f"the training split has {len(queries)} query with a relevant document, at least {_FEWEST_QUERIES} are "
            "needed: what fits one query says nothing about the next",
            where="queries_split",
            remedy="give more training queries; embedtune split divides a dataset anew",
        )
