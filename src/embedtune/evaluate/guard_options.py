"""What a model may lose, apart from what measures it, so that naming options loads nothing heavy."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from embedtune.errors import OptionsError, describe_unknown
from embedtune.evaluate.measures import default_measures
from embedtune.options import Options

__all__ = ["GateOptions", "GuardOptions"]


class GuardOptions(Options):
    """What a model may lose, and how that is tested."""

    HEADING: ClassVar[str] = "Guards and the gate"

    measure: str = Field(default="ndcg_at_10", description="The measure that gain and losses are counted in.")
    max_guard_loss: float = Field(
        default=0.005,
        ge=0,
        le=1,
        description="Most that a guard may lose of the measure; 0.005 is half a point.",
    )
    guard_test: Literal["measured", "safe", "harm"] = Field(
        default="measured",
        description="measured: the mean loss must be within --max-guard-loss. safe: its one-sided 95 % bound too, "
        "which takes thousands of queries. harm: only a loss shown to be over it, at 5 % one-sided, counts.",
    )
    resamples: int = Field(default=10_000, ge=100, description="Bootstrap samples of queries.")
    seed: int = Field(default=42, description="Seeds the resampling, and the sample of a large corpus.")

    @field_validator("measure")
    @classmethod
    def _known(cls, measure: str) -> str:
        known = [str(one) for one in default_measures()]
        if measure not in known:
            raise OptionsError(describe_unknown("measure", measure, known))
        return measure


class GateOptions(GuardOptions):
    """What the gate asks."""

    split: str = Field(default="test", description="The split on which a gain must show.")
