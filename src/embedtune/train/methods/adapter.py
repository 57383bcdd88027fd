"""Trains a map of the query vectors; model, documents and index stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from embedtune.options import Options
from embedtune.train.job import TrainingJob

if TYPE_CHECKING:
    from embedtune.models.tuned import TunedModel

__all__ = ["OPTIONS", "AdapterOptions", "fit"]


class AdapterOptions(Options):
    """How a map of the query vectors is trained."""

    shape: Literal["linear", "low-rank", "hidden"] = Field(
        default="linear",
        description="What is added to a query vector: linear, a matrix; low-rank, a matrix of --rank; hidden, one "
        "hidden layer of --units.",
    )
    rank: int = Field(default=32, ge=1, description="Rank of the matrix for --shape low-rank.")
    units: int = Field(default=256, ge=1, description="Units of the hidden layer for --shape hidden.")
    epochs: int = Field(default=20, ge=1, description="How often every example is seen.")
    batch_size: int = Field(default=256, ge=2, description="Queries in a batch; they share their negatives.")
    learning_rate: float = Field(default=1e-3, gt=0, description="Highest learning rate of AdamW; cosine from there.")
    weight_decay: float = Field(default=0.01, ge=0, description="How strongly the map is pulled to the identity.")
    scale: float = Field(default=20.0, gt=0, description="1 / temperature: 20 for all-MiniLM, 50 for BGE v1.5.")
    validations: int = Field(default=10, ge=1, description="How often to score the val split, besides step 0.")
    max_minutes: float | None = Field(
        default=None, gt=0, description="Minutes of training after which the best map until then comes out."
    )
    val_split: str = Field(default="val", description="The split that chooses the checkpoint.")
    val_measure: str = Field(default="ndcg_at_10", description="The measure that chooses the checkpoint.")
    fold: bool = Field(
        default=False,
        description="Fold a linear map into one for queries and documents alike, for a store that can hold only one; "
        "documents must be encoded again then.",
    )
    seed: int = Field(default=42, description="Seeds batches and the map's random weights.")


OPTIONS = AdapterOptions


def fit(job: TrainingJob, options: AdapterOptions) -> TunedModel:
    """Trains a map by InfoNCE on cached vectors, from the identity, and saves it on the query route.

    A residual map of a frozen model's vectors: Yoon et al., Search-Adaptor
    (https://arxiv.org/abs/2310.08750), here for queries alone and with this project's loss.
    """
    from embedtune.train.adapter_training import train_adapter

    return train_adapter(job, options)
