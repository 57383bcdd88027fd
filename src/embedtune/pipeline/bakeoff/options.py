"""What a bake-off takes: time for each system, and how much of everything."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from embedtune.errors import OptionsError
from embedtune.options import Options

__all__ = ["BakeoffOptions", "MeasureOptions", "seconds_of"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class MeasureOptions(Options):
    """How the finished systems are measured."""

    rerank_depth: int = Field(default=20, ge=1, description="Documents of a query that the reranker reads.")
    timed_queries: int = Field(default=30, ge=1, description="Queries asked one by one to time each system.")


class BakeoffOptions(MeasureOptions):
    """How long each system may take to make, and from what."""

    budget: str = Field(
        default="30m",
        description="Time that making each system may take, such as 90s, 30m or 1h: training with its validations, "
        "or trying mixtures. Measuring the finished systems comes on top.",
    )
    negatives: int = Field(
        default=4, ge=0, description="Hard negatives for each training query; mined where the dataset has none."
    )

    @field_validator("budget")
    @classmethod
    def _is_a_duration(cls, budget: str) -> str:
        seconds_of(budget)
        return budget

    def measuring(self) -> MeasureOptions:
        """Returns what measuring depends on, so that another budget doesn't measure the base again."""
        return MeasureOptions(rerank_depth=self.rerank_depth, timed_queries=self.timed_queries)

    @property
    def budget_seconds(self) -> float:
        """Returns the budget in seconds."""
        return seconds_of(self.budget)


def seconds_of(duration: str) -> float:
    """Returns the seconds of a duration such as 90s, 30m or 1h; raises OptionsError for anything else, and for 0."""
    match = _DURATION.fullmatch(duration.strip())
    seconds = 0.0 if match is None else float(match[1]) * _SECONDS[match[2]]
    if not seconds:
        raise OptionsError(
            f"found the budget {duration!r}, expected a number and its unit",
            remedy="write it as 90s, 30m or 1h",
        )
    return seconds
