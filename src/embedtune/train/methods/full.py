"""Trains all of a model's weights."""

from __future__ import annotations

from embedtune.models.tuned import TunedModel
from embedtune.train.job import TrainingJob
from embedtune.train.trainer import TrainOptions, load_trainable, train_weights

__all__ = ["OPTIONS", "fit"]

OPTIONS = TrainOptions


def fit(job: TrainingJob, options: TrainOptions) -> TunedModel:
    """Fine-tunes every weight by a loss over conflict-free batches and saves the best checkpoint.

    Dense retrieval trained this way: Karpukhin et al. 2020 (https://arxiv.org/abs/2004.04906).
    """
    return train_weights(load_trainable(job), job, options).save(job, "full", options)
