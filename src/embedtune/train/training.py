"""Training set → tuned model, by any of the methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedtune.artifact import refuse_strangers
from embedtune.data.training_set import TrainingSet
from embedtune.errors import DataError, OptionsError
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions
from embedtune.models.tuned import TUNED_MODEL, TunedModel
from embedtune.options import Options
from embedtune.train.job import Checkpoint, TrainingJob
from embedtune.train.methods import METHODS
from embedtune.train.trainer import TrainOptions

__all__ = ["Checkpoint", "TrainOptions", "TrainResult", "train"]

_FEWEST_QUERIES = 2


@dataclass(frozen=True)
class TrainResult:
    """The tuned model, every validation, and the one that was kept (step 0 is the base model)."""

    model: TunedModel
    checkpoints: list[Checkpoint]
    chosen: Checkpoint


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
    decides how far to go, and the base comes out as it was where nothing beat it. Raises
    EmbedtuneError where there is too little to learn from or the numbers break down; nothing is
    written then.
    """
    plugin = METHODS.load(method)
    options = options or plugin.OPTIONS()
    if not isinstance(options, plugin.OPTIONS):
        raise OptionsError(f"the method {method!r} takes {plugin.OPTIONS.__name__}, found {type(options).__name__}")
    refuse_strangers(folder, TUNED_MODEL, overwrite)
    _refuse_too_little(training_set)
    job = TrainingJob(
        training_set,
        encoder,
        folder,
        encoder_options or EncoderOptions(),
        cache or EmbeddingCache(None),
        made_from or {},
        overwrite,
    )
    tuned: TunedModel = plugin.fit(job, options)
    record = tuned.manifest["made_from"]
    return TrainResult(
        tuned, [Checkpoint(**checkpoint) for checkpoint in record["checkpoints"]], Checkpoint(**record["chosen"])
    )


def _refuse_too_little(training_set: TrainingSet) -> None:
    queries = {example.query_id for example in training_set.examples}
    if len(queries) < _FEWEST_QUERIES:
        raise DataError(
            f"the training split has {len(queries)} query with a relevant document, at least {_FEWEST_QUERIES} are "
            "needed: what fits one query says nothing about the next",
            where="queries_split",
            remedy="give more training queries; embedtune split divides a dataset anew",
        )
