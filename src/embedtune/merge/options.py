"""How the share of a tuned model is chosen, apart from what chooses it, so that naming options loads nothing heavy."""

from __future__ import annotations

from pydantic import Field

from embedtune.evaluate.guard_options import GuardOptions

__all__ = ["ChooseOptions"]


class ChooseOptions(GuardOptions):
    """Which weights are tried, and on what."""

    grid: tuple[float, ...] = Field(
        default=(0.2, 0.4, 0.6, 0.8, 1.0),
        description="Shares of the tuned model to try; several tuned models divide each equally.",
    )
    val_split: str = Field(default="val", description="The split that chooses.")
    choose_documents: int = Field(
        default=5000,
        ge=1,
        description="Documents of each corpus that are encoded anew for a weight: all relevant ones, others drawn.",
    )
