"""What every export is asked: what the proof is read on, and what it has to show."""

from __future__ import annotations

from pydantic import Field

from embedtune.options import Options

__all__ = ["ExportOptions", "HalfOptions", "ProofOptions"]


class ExportOptions(Options):
    """What an export has to show; a format sets its own limits."""

    least_cosine: float | None = Field(
        default=None, ge=-1, le=1, description="Lowest cosine to the float32 vector that any text may have."
    )
    most_lost: float | None = Field(
        default=None, ge=0, le=1, description="Largest share of the measure that may be lost; 0.01 is 1 %."
    )
    least_speedup: float | None = Field(
        default=None, ge=0, description="Lowest ratio to the documents a second of sentence-transformers in float32."
    )


class HalfOptions(ExportOptions):
    """What 16-bit weights have to show."""

    least_cosine: float | None = Field(
        default=0.999, ge=-1, le=1, description="Lowest cosine to the float32 vector that any text may have."
    )


class ProofOptions(Options):
    """What an export is compared with the float32 model on."""

    split: str = Field(default="val", description="Split whose queries are asked; all for every query.")
    measure: str = Field(default="ndcg_at_10", description="The measure that is compared.")
    max_documents: int = Field(
        default=20_000, ge=10, description="Documents searched: those relevant to the split, and others by the seed."
    )
    speed_documents: int = Field(default=96, ge=1, description="Documents that the speed is read on.")
    speed_queries: int = Field(default=100, ge=1, description="Queries, one at a time, that the latency is read on.")
    rounds: int = Field(default=5, ge=1, description="Turns that the two take; the medians count.")
    seed: int = Field(default=42, description="Chooses the documents.")
