"""What the page says, and how it is written."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from embedtune.options import Options

__all__ = ["PageOptions", "ReportOptions"]


class ReportOptions(Options):
    """What the page says about the systems."""

    title: str | None = Field(default=None, description="The page's title; default: the dataset's name.")
    measure: str = Field(default="ndcg_at_10", description="The measure that systems are compared by.")
    proposed: str | None = Field(
        default=None, description="The system that the decision is about, named in advance; default: the last."
    )
    resamples: int = Field(default=10_000, ge=100, description="Bootstrap samples and random sign flips.")
    seed: int = Field(default=42, description="Seeds the resampling.")


class PageOptions(Options):
    """How the page is written."""

    language: Literal["auto", "en", "zh"] = Field(
        default="auto", description="Language the page opens in: en, zh, or auto for the reader's browser's."
    )
    max_megabytes: float = Field(
        default=5.0, gt=0, description="Largest size of the page; documents are cut shorter to keep to it."
    )
