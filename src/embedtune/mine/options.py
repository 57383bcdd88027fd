"""What is looked at, what is dropped, and how many are kept."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from embedtune.errors import OptionsError
from embedtune.options import Options

__all__ = ["MineOptions", "Strategy"]

Strategy = Literal["positive-aware", "absolute-margin", "score-range", "rank-window"]


class MineOptions(Options):
    """Which of the documents found are taken as negatives.

    The case study's rule is MineOptions(strategy="rank-window", from_=50, to=100, sample=15); its
    miner doesn't leave out known positives, this one always does.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    strategy: Strategy = Field(
        default="positive-aware",
        description="positive-aware drops a document that scores over a share of the query's lowest-scored positive, "
        "absolute-margin one that isn't a margin below it, score-range one outside min-score and max-score; "
        "rank-window asks for the rank alone.",
    )
    candidates: Literal["dense", "bm25", "hybrid"] = Field(
        default="dense", description="Where candidates come from; hybrid fuses both rankings."
    )
    depth: int = Field(default=30, ge=1, description="How many of a query's best documents to look at.")
    from_: int = Field(default=0, ge=0, alias="from", description="Leave out this many of a query's best documents.")
    to: int | None = Field(default=None, ge=1, description="The last rank to look at; default: depth.")
    negatives: int = Field(default=7, ge=1, description="How many negatives to keep for a query: the hardest.")
    sample: int | None = Field(
        default=None, ge=1, description="Keep this many, drawn at random, in place of the hardest ones."
    )
    positive_share: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="A document scoring over this share of the query's lowest-scored positive is dropped as "
        "probably relevant (NV-Retriever, arXiv 2407.15831, TopK-PercPos).",
    )
    margin: float = Field(
        default=0.05, ge=0, description="absolute-margin: how far below the lowest-scored positive a negative stays."
    )
    min_score: float | None = Field(default=None, description="A document scoring less is too easy to be a negative.")
    max_score: float | None = Field(default=None, description="A document scoring more is dropped.")
    fill_up: bool = Field(
        default=True,
        description="Where a query has too few, look deeper, then by BM25, then at random; the rules stay the same.",
    )
    relabel: bool = Field(
        default=False,
        description="With a reranker or a judge: what is found as relevant as the query's best positive becomes one.",
    )
    seed: int = Field(default=42, description="Seeds what is drawn at random.")

    @property
    def last_rank(self) -> int:
        """Returns the last rank that is looked at."""
        return self.depth if self.to is None else self.to

    @property
    def wanted(self) -> int:
        """Returns how many negatives a query is to have."""
        return self.negatives if self.sample is None else self.sample

    def check(self) -> None:
        """Raises OptionsError where the options contradict each other."""
        if self.from_ >= self.last_rank:
            raise OptionsError(
                f"no rank lies between --from {self.from_} and the last rank {self.last_rank}",
                where="MineOptions",
                remedy="give a larger --to (or --depth)",
            )
        if self.strategy == "score-range" and self.min_score is None and self.max_score is None:
            raise OptionsError(
                "the strategy 'score-range' has no range",
                where="MineOptions",
                remedy="give --min-score, --max-score or both",
            )
