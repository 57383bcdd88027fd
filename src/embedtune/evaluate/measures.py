"""nDCG, MAP, recall, precision and MRR, per query, as trec_eval defines them.

trec_eval: https://github.com/usnistgov/trec_eval; the tests compare with pytrec_eval-terrier.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from embedtune.data.dataset import Qrels
from embedtune.errors import OptionsError, describe_unknown
from embedtune.search.run import Run

__all__ = ["DEFAULT_CUTOFFS", "Measure", "MeasureName", "default_measures", "measure_queries"]

MeasureName = Literal["ndcg", "map", "recall", "precision", "mrr"]
DEFAULT_CUTOFFS = (1, 3, 5, 10)
_SPELLING = re.compile(r"([a-z]+)_at_([1-9][0-9]*)")

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """One measure at one cut-off; prints as, and is parsed from, "ndcg_at_10"."""

    name: MeasureName
    cutoff: int

    def __str__(self) -> str:
        return f"{self.name}_at_{self.cutoff}"

    @classmethod
    def parse(cls, text: str) -> Measure:
        """Returns the measure of that spelling; raises OptionsError naming the nearest known one."""
        match = _SPELLING.fullmatch(text)
        for name in get_args(MeasureName):
            if match is not None and match.group(1) == name:
                return cls(name, int(match.group(2)))
        raise OptionsError(describe_unknown("measure", text, map(str, default_measures())))


def default_measures() -> list[Measure]:
    """Returns the case study's measures in its order: each at 1, 3, 5 and 10."""
    return [Measure(name, cutoff) for name in get_args(MeasureName) for cutoff in DEFAULT_CUTOFFS]


def measure_queries(
    run: Run, qrels: Qrels, query_ids: Sequence[str], measures: Sequence[Measure]
) -> Mapping[str, Matrix]:
    """Returns measure → (len(query_ids),) float64, in the order of `query_ids`.

    A query that the run lacks scores 0. Every query must have a relevant document.
    """
    depth = max(measure.cutoff for measure in measures)
    gains = _gains(run, qrels, query_ids, depth)
    ideal = _ideal_gains(qrels, query_ids, depth)
    relevant = np.array([sum(grade > 0 for grade in qrels[query_id].values()) for query_id in query_ids], float)
    return {str(measure): _FORMULAS[measure.name](gains, ideal, relevant, measure.cutoff) for measure in measures}


def _gains(run: Run, qrels: Qrels, query_ids: Sequence[str], depth: int) -> Matrix:
    """Returns (queries, depth): the grade of the document at each rank, 0 where not relevant."""
    gains = np.zeros((len(query_ids), depth))
    for row, query_id in enumerate(query_ids):
        grades = qrels[query_id]
        found = [grades.get(document_id, 0.0) for document_id in run.document_ids(query_id)[:depth]]
        gains[row, : len(found)] = found
    return np.maximum(gains, 0.0)


def _ideal_gains(qrels: Qrels, query_ids: Sequence[str], depth: int) -> Matrix:
    """Returns (queries, depth): the grades in the best possible order."""
    ideal = np.zeros((len(query_ids), depth))
    for row, query_id in enumerate(query_ids):
        best = sorted((grade for grade in qrels[query_id].values() if grade > 0), reverse=True)[:depth]
        ideal[row, : len(best)] = best
    return ideal


def _ndcg(gains: Matrix, ideal: Matrix, relevant: Matrix, cutoff: int) -> Matrix:
    """Linear gain over log2(rank + 1); Järvelin and Kekäläinen 2002, trec_eval's ndcg_cut."""
    discount = 1.0 / np.log2(np.arange(2, cutoff + 2))
    return np.asarray((gains[:, :cutoff] @ discount) / (ideal[:, :cutoff] @ discount))


def _map(gains: Matrix, ideal: Matrix, relevant: Matrix, cutoff: int) -> Matrix:
    """Precision at each relevant rank, over all relevant documents; trec_eval's map_cut."""
    hits = gains[:, :cutoff] > 0
    precision = hits.cumsum(axis=1) / np.arange(1, cutoff + 1)
    return np.asarray((precision * hits).sum(axis=1) / relevant)


def _recall(gains: Matrix, ideal: Matrix, relevant: Matrix, cutoff: int) -> Matrix:
    return np.asarray((gains[:, :cutoff] > 0).sum(axis=1) / relevant)


def _precision(gains: Matrix, ideal: Matrix, relevant: Matrix, cutoff: int) -> Matrix:
    return np.asarray((gains[:, :cutoff] > 0).sum(axis=1) / cutoff)


def _mrr(gains: Matrix, ideal: Matrix, relevant: Matrix, cutoff: int) -> Matrix:
    """1 over the rank of the first relevant document within the cut-off, else 0."""
    hits = gains[:, :cutoff] > 0
    return np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1), 0.0)


_FORMULAS = {"ndcg": _ndcg, "map": _map, "recall": _recall, "precision": _precision, "mrr": _mrr}
