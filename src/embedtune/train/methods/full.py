"""Trains all of a model's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedtune.train.job import TrainingJob
from embedtune.train.options import TrainOptions

if TYPE_CHECKING:
    from embedtune.models.tuned import TunedModel

__all__ = ["OPTIONS", "fit"]

OPTIONS = TrainOptions


def fit(job: TrainingJob, options: TrainOptions) -> TunedModel:
    """Fine-tunes every weight by a loss over conflict-free batches and saves the best checkpoint.

    Dense retrieval trained this way: Karpukhin et al. 2020 (https://arxiv.org/abs/2004.04906).
    """
    from embedtune.train.trainer import load_trainable, train_weights

    return train_weights(load_trainable(job), job, options).save(job, "full", options)
