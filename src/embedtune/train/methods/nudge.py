"""Moves the vectors of documents that have training queries; the model stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from embedtune.options import Options
from embedtune.train.job import TrainingJob

if TYPE_CHECKING:
    from embedtune.models.tuned import TunedModel

__all__ = ["LEARNS_FROM_NEGATIVES", "OPTIONS", "NudgeOptions", "fit"]


class NudgeOptions(Options):
    """How documents are moved; Zeighami et al. 2024 (https://arxiv.org/abs/2409.02343)."""

    variant: Literal["n", "m"] = Field(
        default="n",
        description="n keeps vectors at unit length, each moved as far as gamma allows; m moves all by the same "
        "distance, exactly the best one, and needs an index that compares by inner product.",
    )
    val_split: str = Field(default="val", description="The split that chooses gamma.")
    val_measure: str = Field(
        default="precision_at_1",
        description="The measure that chooses gamma; the paper's is precision_at_1, and variant m knows no other.",
    )
    allow_low_coverage: bool = Field(
        default=False,
        description="Go on although fewer than a fifth of the val queries are about documents with training queries.",
    )


OPTIONS = NudgeOptions
LEARNS_FROM_NEGATIVES = False


def fit(job: TrainingJob, options: NudgeOptions) -> TunedModel:
    """Moves each document towards the training queries that it answers, as far as val allows.

    Zeighami, Wellmer and Parameswaran 2024 (https://arxiv.org/abs/2409.02343). The folder holds
    the model as it was and beside it every document's vector, as Parquet and as a FAISS index.
    """
    from embedtune.train.nudge_training import train_nudge

    return train_nudge(job, options)
