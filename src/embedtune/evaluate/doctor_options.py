"""From where on the false-negative doctor warns."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from embedtune.options import Options

__all__ = ["DoctorOptions"]


class DoctorOptions(Options):
    """From where on the doctor warns."""

    HEADING: ClassVar[str] = "False-negative doctor"

    scale: float = Field(default=20.0, gt=0, description="1 / temperature of the loss that is looked at.")
    chance_share: float = Field(
        default=0.8, gt=0, le=1, description="Warn from this share of ln(1 + n) on, the loss of guessing among n."
    )
    under_share: float = Field(
        default=0.2, ge=0, le=1, description="Warn if more than this share of positives score under a negative."
    )
    diagnosed_queries: int = Field(default=500, ge=1, description="Queries that are looked at, drawn by the seed.")
    seed: int = Field(default=42, description="Seeds what is drawn at random.")
