"""How the share of a tuned model is chosen, apart from what chooses it, so that naming options loads nothing heavy."""

from __future__ import annotations

from pydantic import Field, field_validator

from embedtune.errors import OptionsError
from embedtune.evaluate.guard_options import GuardOptions

__all__ = ["ChooseOptions"]


class ChooseOptions(GuardOptions):
    """Which weights are tried, and on what."""

    grid: tuple[float, ...] = Field(
        default=(0.2, 0.4, 0.6, 0.8, 1.0),
        description="Shares of the tuned model to try; several tuned models divide each equally.",
    )
    refinements: int = Field(
        default=2,
        ge=0,
        description="Shares tried beyond the grid, each in the middle between the best that keeps the guards and the "
        "next larger one, where that gains more and loses a guard.",
    )
    val_split: str = Field(default="val", description="The split that chooses.")
    choose_documents: int = Field(
        default=5000,
        ge=1,
        description="Documents of each corpus that are encoded anew for a weight: all relevant ones, others drawn.",
    )

    @field_validator("grid")
    @classmethod
    def _shares(cls, grid: tuple[float, ...]) -> tuple[float, ...]:
        if not grid or not all(0 < weight <= 1 for weight in grid):
            raise OptionsError(
                f"found the grid {list(grid)}", remedy="give shares over 0 and up to 1; the base itself is always tried"
            )
        return tuple(sorted(set(grid)))
