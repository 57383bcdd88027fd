"""Two evaluations query by query: is the difference more than luck?"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from pydantic import Field

from embedtune.errors import EvaluationError, OptionsError, describe_unknown
from embedtune.evaluate.evaluation import Evaluation
from embedtune.evaluate.resampling import Sample, bootstrap_quantiles, randomisation_p
from embedtune.options import Options

__all__ = [
    "CompareOptions",
    "Comparison",
    "Difference",
    "MovedQuery",
    "compare",
    "paired_differences",
    "queries_needed",
]

_CONFIDENCE = 0.95
_POWER = 0.8
_SIGNIFICANCE = 0.05
_EQUAL = 1e-12


class CompareOptions(Options):
    """How two evaluations are compared."""

    measure: str = Field(default="ndcg_at_10", description="The measure that queries are compared by.")
    resamples: int = Field(default=10_000, ge=100, description="Bootstrap samples and random sign flips.")
    seed: int = Field(default=42, description="Seeds the resampling.")
    moved: int = Field(default=10, ge=0, description="How many queries to name that moved most each way.")


@dataclass(frozen=True)
class Difference:
    """B minus A for one measure: the means, a 95 % interval of the difference, and p."""

    mean_a: float
    mean_b: float
    mean: float
    interval: tuple[float, float]
    p: float


@dataclass(frozen=True)
class MovedQuery:
    """A query that one of the two answers better, with its score under both."""

    query_id: str
    text: str
    score_a: float
    score_b: float


@dataclass(frozen=True)
class Comparison:
    """Everything `embedtune compare` says; `differences` has one entry a measure.

    `queries_needed` maps a difference in points (hundredths) to the number of queries that
    would show it with 80 % power at p < 0.05, given how much the queries of this pair vary.
    """

    measure: str
    queries: int
    differences: dict[str, Difference]
    wins: int
    ties: int
    losses: int
    standard_deviation: float
    queries_needed: dict[str, int]
    gained: list[MovedQuery]
    lost: list[MovedQuery]

    @property
    def main(self) -> Difference:
        """Returns the difference in the measure asked for."""
        return self.differences[self.measure]

    def verdict(self, a: str, b: str) -> str:
        """Returns in words whether the difference could be luck; `a` and `b` name the two."""
        difference = self.main
        if difference.p >= _SIGNIFICANCE:
            return f"no difference shown (p = {difference.p:.4f}); that isn't proof of equality"
        return f"{b} is {'better' if difference.mean > 0 else 'worse'} than {a} (p = {difference.p:.4f})"

    def to_json(self) -> dict[str, Any]:
        """Returns the comparison as JSON values."""
        return asdict(self)


def compare(a: Evaluation, b: Evaluation, options: CompareOptions | None = None) -> Comparison:
    """Returns the comparison of B with A over the same queries; differences are B minus A.

    The interval is the bootstrap's percentile interval over queries; p is of the two-sided
    paired randomisation test, (1 + as extreme) / (1 + resamples); see Smucker, Allan and
    Carterette, CIKM 2007 (https://doi.org/10.1145/1321440.1321528). Raises EvaluationError
    where queries or judgements differ.
    """
    options = options or CompareOptions()
    rows = _matching_rows(a, b)
    measures = [measure for measure in a.scores.values if measure in b.scores.values]
    if options.measure not in measures:
        raise OptionsError(describe_unknown("measure", options.measure, measures))
    values_a = np.stack([a.scores.values[measure] for measure in measures], axis=1)
    values_b = np.stack([b.scores.values[measure][rows] for measure in measures], axis=1)
    deltas = values_b - values_a
    tail = (1 - _CONFIDENCE) / 2
    intervals = bootstrap_quantiles(deltas, [tail, 1 - tail], options.resamples, options.seed)
    p_values = randomisation_p(deltas, options.resamples, options.seed)
    differences = {
        measure: Difference(
            float(values_a[:, i].mean()),
            float(values_b[:, i].mean()),
            float(deltas[:, i].mean()),
            (float(intervals[0, i]), float(intervals[1, i])),
            float(p_values[i]),
        )
        for i, measure in enumerate(measures)
    }
    main = measures.index(options.measure)
    delta = deltas[:, main]
    spread = float(delta.std(ddof=1)) if len(delta) > 1 else math.nan
    moved = _moved(a, values_a[:, main], values_b[:, main])
    order = sorted(moved, key=lambda query: query.score_a - query.score_b)
    return Comparison(
        measure=options.measure,
        queries=len(delta),
        differences=differences,
        wins=int((delta > _EQUAL).sum()),
        ties=int((np.abs(delta) <= _EQUAL).sum()),
        losses=int((delta < -_EQUAL).sum()),
        standard_deviation=spread,
        queries_needed={
            str(points): queries_needed(spread, points / 100) for points in (1, 2) if not math.isnan(spread)
        },
        gained=[query for query in order if query.score_b > query.score_a][: options.moved],
        lost=[query for query in reversed(order) if query.score_b < query.score_a][: options.moved],
    )


def paired_differences(a: Evaluation, b: Evaluation, measure: str) -> Sample:
    """Returns B minus A for each of A's queries, shape (queries,); raises EvaluationError as compare does."""
    rows = _matching_rows(a, b)
    difference: Sample = b.scores.values[measure][rows] - a.scores.values[measure]
    return difference


def queries_needed(standard_deviation: float, difference: float) -> int:
    """Returns how many queries show a mean difference with 80 % power at p < 0.05, paired, two-sided.

    ((z(0.975) + z(0.8)) · standard deviation / difference)², rounded up; the standard deviation
    is that of the per-query differences.
    """
    z = NormalDist().inv_cdf(1 - _SIGNIFICANCE / 2) + NormalDist().inv_cdf(_POWER)
    return max(2, math.ceil((z * standard_deviation / difference) ** 2))


def _matching_rows(a: Evaluation, b: Evaluation) -> list[int]:
    """Returns B's row of each of A's queries."""
    only_a = set(a.scores.query_ids) - set(b.scores.query_ids)
    only_b = set(b.scores.query_ids) - set(a.scores.query_ids)
    if only_a or only_b:
        raise EvaluationError(
            f"the two evaluations have different queries: {len(only_a)} only in A "
            f"(such as {sorted(only_a)[:3]}), {len(only_b)} only in B (such as {sorted(only_b)[:3]})",
            remedy="evaluate both on the same dataset and --split",
        )
    if a.judgements != b.judgements:
        raise EvaluationError(
            "the two evaluations judged the same queries differently",
            remedy="evaluate both again on the same dataset and --qrels",
        )
    row_of = {query_id: row for row, query_id in enumerate(b.scores.query_ids)}
    return [row_of[query_id] for query_id in a.scores.query_ids]


def _moved(a: Evaluation, score_a: Sample, score_b: Sample) -> list[MovedQuery]:
    return [
        MovedQuery(query_id, a.queries[query_id], float(one), float(other))
        for query_id, one, other in zip(a.scores.query_ids, score_a, score_b, strict=True)
    ]
