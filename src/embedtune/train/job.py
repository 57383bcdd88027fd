"""What every method is given, and what it says about how it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedtune.data.training_set import TrainingSet
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options

__all__ = ["Checkpoint", "TrainingJob", "best_of"]


@dataclass(frozen=True)
class Checkpoint:
    """A validation: after how many steps, the val score, the mean loss since the last one."""

    step: int
    score: float
    loss: float | None


@dataclass(frozen=True)
class TrainingJob:
    """What to adapt, on what, and where the tuned model goes.

    `encoder` is a name as load_encoder takes it; `made_from` goes into the manifest.
    """

    training_set: TrainingSet
    encoder: str
    folder: Path
    encoder_options: EncoderOptions
    cache: EmbeddingCache
    made_from: Mapping[str, Any]
    overwrite: bool = False

    def record(self, method: str, options: Options, measure: str, checkpoints: Sequence[Checkpoint]) -> dict[str, Any]:
        """Returns what the tuned model's manifest says about its making; `measure` chose the checkpoint."""
        return {
            "method": method,
            "base": self.encoder,
            "options": options.model_dump(),
            "encoder_options": self.encoder_options.model_dump(),
            "examples": len(self.training_set.examples),
            "measure": measure,
            "checkpoints": [vars(checkpoint) for checkpoint in checkpoints],
            "chosen": vars(best_of(checkpoints)),
        } | dict(self.made_from)


def best_of(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """Returns the checkpoint with the highest score, the earlier one of equals."""
    return max(checkpoints, key=lambda checkpoint: (checkpoint.score, -checkpoint.step))
