"""Trains small additions to the linear layers, and merges them on saving."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from embedtune.train.job import TrainingJob
from embedtune.train.options import TrainOptions

if TYPE_CHECKING:
    from embedtune.models.tuned import TunedModel

__all__ = ["OPTIONS", "LoraOptions", "fit"]


class LoraOptions(TrainOptions):
    """How LoRA's additions are trained; Hu et al. 2021 (https://arxiv.org/abs/2106.09685)."""

    learning_rate: float = Field(default=1e-4, gt=0, description="Peak learning rate of AdamW.")
    rank: int = Field(default=16, ge=1, description="Rank of the addition to each linear layer.")
    alpha: int = Field(default=32, ge=1, description="The addition counts alpha / rank.")
    lora_dropout: float = Field(default=0.0, ge=0, lt=1, description="Dropout before each addition.")


OPTIONS = LoraOptions


def fit(job: TrainingJob, options: LoraOptions) -> TunedModel:
    """Trains additions to the attention and feed-forward layers; the folder holds them merged, like any model.

    Beside the merged weights `adapter/` keeps the additions alone, as peft loads them.
    """
    from embedtune.train.lora_training import train_lora

    return train_lora(job, options)
