"""Scores: every query's value of every measure, then the means."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedtune.data.dataset import Qrels
from embedtune.errors import EvaluationError
from embedtune.evaluate.measures import Measure, default_measures, measure_queries
from embedtune.search.run import Run

__all__ = ["Scores", "score_run"]

_DECIMALS = 5


@dataclass(frozen=True)
class Scores:
    """Per-query scores of one run.

    `values` maps a measure's name to an array of shape (number of queries,), in the order of
    `query_ids`. `left_out` are queries without a relevant document; they count nowhere.
    """

    query_ids: tuple[str, ...]
    values: Mapping[str, npt.NDArray[np.float64]]
    left_out: tuple[str, ...] = ()

    def mean(self, measure: str) -> float:
        """Returns the mean over the queries."""
        return float(self.values[measure].mean())

    def of(self, query_ids: Collection[str]) -> Scores:
        """Returns the scores of those queries alone, in this order."""
        rows = [row for row, query_id in enumerate(self.query_ids) if query_id in query_ids]
        values = {measure: array[rows] for measure, array in self.values.items()}
        return Scores(tuple(self.query_ids[row] for row in rows), values)

    def means(self) -> dict[str, float]:
        """Returns every measure's mean, rounded to five decimals."""
        return {measure: round(self.mean(measure), _DECIMALS) for measure in self.values}


def score_run(
    run: Run, qrels: Qrels, query_ids: Sequence[str] | None = None, measures: Sequence[Measure] | None = None
) -> Scores:
    """Returns the scores of a run over `query_ids` (default: all of the qrels).

    A query without a relevant document is left out and named; one that the run lacks scores 0.
    Raises EvaluationError where no query is left.
    """
    asked = list(qrels) if query_ids is None else list(query_ids)
    kept = [query_id for query_id in asked if any(grade > 0 for grade in qrels.get(query_id, {}).values())]
    kept_set = set(kept)
    if not kept:
        raise EvaluationError(
            f"none of the {len(asked)} queries has a relevant document, so there is nothing to score",
            where="relevant_docs",
        )
    values = measure_queries(run, qrels, kept, measures or default_measures())
    return Scores(tuple(kept), values, tuple(query_id for query_id in asked if query_id not in kept_set))
