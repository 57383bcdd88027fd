"""nDCG, MAP, recall, precision and MRR, per query, as trec_eval defines them.

trec_eval: https://github.com/usnistgov/trec_eval; the tests compare with pytrec_eval-terrier.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from embedtune.data.dataset import Qrels
from embedtune.errors import OptionsError, describe_unknown
from embedtune.search.run import RankedDocument, RowRankings, Run

__all__ = ["DEFAULT_CUTOFFS", "Measure", "MeasureName", "default_measures", "measure_queries"]

MeasureName = Literal["ndcg", "map", "recall", "precision", "mrr"]
DEFAULT_CUTOFFS = (1, 3, 5, 10)
_JUDGEMENTS_AT_ONCE = 4096
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
    judged = _positives(qrels, query_ids)
    rankings = run.rankings
    if isinstance(rankings, RowRankings):
        gains = _gains_of_rows(rankings, judged, query_ids, depth)
    else:
        gains = _gains(rankings, qrels, query_ids, depth)
    ideal = _ideal_gains(judged, len(query_ids), depth)
    relevant = np.bincount(judged.owners, minlength=len(query_ids)).astype(np.float64)
    return {str(measure): _FORMULAS[measure.name](gains, ideal, relevant, measure.cutoff) for measure in measures}


class _Positives(NamedTuple):
    """Every positive judgement: the place of its query (ascending), its document and its grade."""

    owners: npt.NDArray[np.int64]
    document_ids: list[str]
    grades: Matrix


def _positives(qrels: Qrels, query_ids: Sequence[str]) -> _Positives:
    owners: list[int] = []
    document_ids: list[str] = []
    grades: list[float] = []
    for place, query_id in enumerate(query_ids):
        for document_id, grade in qrels[query_id].items():
            if grade > 0:
                owners.append(place)
                document_ids.append(document_id)
                grades.append(grade)
    return _Positives(np.array(owners, dtype=np.int64), document_ids, np.array(grades, dtype=np.float64))


def _gains(
    rankings: Mapping[str, Sequence[RankedDocument]], qrels: Qrels, query_ids: Sequence[str], depth: int
) -> Matrix:
    """Returns (queries, depth): the grade of the document at each rank, 0 where not relevant."""
    found: list[float] = []
    lengths = []
    for query_id in query_ids:
        grade_of = qrels[query_id].get
        ranking = rankings.get(query_id, ())[:depth]
        found += [grade_of(document_id, 0.0) for document_id, _ in ranking]
        lengths.append(len(ranking))
    gains = np.zeros((len(query_ids), depth))
    gains[np.arange(depth) < np.array(lengths)[:, None]] = found
    return np.maximum(gains, 0.0, out=gains)


def _gains_of_rows(rankings: RowRankings, judged: _Positives, query_ids: Sequence[str], depth: int) -> Matrix:
    """Returns what `_gains` does; looks for each judgement in its query's list instead of the other way round."""
    gains = np.zeros((len(query_ids), depth))
    place_in_run = np.array([rankings.place_of_query.get(query_id, -1) for query_id in query_ids], dtype=np.int64)
    row_of = rankings.row_of_document
    rows = np.array([row_of.get(document_id, -1) for document_id in judged.document_ids], dtype=np.int64)
    known = np.flatnonzero((rows >= 0) & (place_in_run[judged.owners] >= 0))
    for start in range(0, len(known), _JUDGEMENTS_AT_ONCE):
        part = known[start : start + _JUDGEMENTS_AT_ONCE]
        owners = judged.owners[part]
        hit, rank = np.nonzero(rankings.rows[place_in_run[owners], :depth] == rows[part, None])
        gains[owners[hit], rank] = judged.grades[part][hit]
    return gains


def _ideal_gains(judged: _Positives, queries: int, depth: int) -> Matrix:
    """Returns (queries, depth): the grades in the best possible order."""
    order = np.lexsort((-judged.grades, judged.owners))
    owners = judged.owners[order]
    rank = np.arange(len(owners)) - np.searchsorted(owners, owners)
    inside = rank < depth
    ideal = np.zeros((queries, depth))
    ideal[owners[inside], rank[inside]] = judged.grades[order][inside]
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
