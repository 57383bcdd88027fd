"""Does a store find what exact search finds, and is its ndcg_at_10 the same?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embedtune.data.dataset import RetrievalDataset
from embedtune.evaluate.comparison import compare
from embedtune.evaluate.evaluation import evaluate
from embedtune.export.ranked import Ranked
from embedtune.models.encoder import Vectors
from embedtune.search.run import RankedDocument, RowRankings, Run
from embedtune.search.vector_index import VectorIndex
from embedtune.search.vector_store import VectorStore

__all__ = ["Judged", "SearchCheck", "check_search"]

Found = Sequence[Sequence[RankedDocument]]

_TOP_K = 10
_MEASURE = "ndcg_at_10"
_ROUNDING = 1e-5
"""Scores in float32, one minus a score, and sums in another order differ by less, for vectors of length 1."""
_LEAST_RECALL = {True: 0.999, False: 0.95}


@dataclass(frozen=True)
class SearchCheck:
    """What searching through the store's own client gave, beside our exact search.

    `recall` is the share of the exact ten best that the store finds, by score, so that ties count.
    `unexplained` is the part of the difference in ndcg_at_10 that comes from queries whose ranking isn't the
    exact one: equal scores in another order may change the measure, and say nothing about the store.
    """

    split: str
    queries: int
    recall: float
    least_recall: float
    exact: float
    store: float
    difference: float
    interval: tuple[float, float]
    unexplained: float

    @property
    def passed(self) -> bool:
        """Returns whether recall is what the index states, and ndcg_at_10 differs by no more than that explains."""
        allowed = (1 - self.least_recall) * self.exact
        return self.recall >= self.least_recall and abs(self.unexplained) <= allowed

    def to_json(self) -> dict[str, Any]:
        """Returns the check as JSON values."""
        return asdict(self) | {"passed": self.passed}


def check_search(
    store: VectorStore,
    dataset: RetrievalDataset,
    document_vectors: Vectors,
    query_vectors: Vectors,
    *,
    split: str,
    least_recall: float | None = None,
) -> SearchCheck:
    """Returns the comparison over the split's queries, whose vectors are in the order of its ids.

    `least_recall` is what the index states; default: 0.999 for one that looks at everything, else 0.95.
    """
    query_ids = dataset.split_query_ids(split)
    document_ids = list(dataset.corpus)
    exact = VectorIndex(document_vectors, document_ids).search_rows(query_vectors, _TOP_K)
    found = store.search(query_vectors, _TOP_K)
    ours = evaluate(dataset, Ranked(RowRankings(query_ids, document_ids, exact.rows, exact.scores)), split=split)
    ranked = Run(dict(zip(query_ids, found, strict=True)))
    theirs = evaluate(dataset, Ranked(ranked.rankings), split=split)
    judged = Judged(document_vectors, query_vectors, document_ids, exact.scores)
    same = dict(zip(query_ids, judged.ranked_alike(found), strict=True))
    difference = compare(ours, theirs).differences[_MEASURE]
    moved = theirs.scores.values[_MEASURE] - ours.scores.values[_MEASURE]
    counted = np.array([not same[query_id] for query_id in ours.scores.query_ids])
    return SearchCheck(
        split=split,
        queries=len(query_ids),
        recall=judged.recall(found),
        least_recall=_LEAST_RECALL[store.exact] if least_recall is None else least_recall,
        exact=difference.mean_a,
        store=difference.mean_b,
        difference=difference.mean,
        interval=difference.interval,
        unexplained=float((moved * counted).mean()),
    )


class Judged:
    """What a store found, by scores computed anew from the vectors.

    So neither the store's rounding nor a stale copy of a vector counts for or against it.
    `exact_scores` is (queries, k), best first.
    """

    def __init__(
        self, document_vectors: Vectors, query_vectors: Vectors, document_ids: Sequence[str], exact_scores: Vectors
    ) -> None:
        self._documents = document_vectors
        self._queries = query_vectors
        self._row_of = {document_id: row for row, document_id in enumerate(document_ids)}
        self._exact = exact_scores
        longest = float(np.linalg.norm(document_vectors, axis=1).max())
        self._slack = _ROUNDING * longest * np.linalg.norm(query_vectors, axis=1)

    def recall(self, found: Found) -> float:
        """Returns the share of the exact best that was found: a document counts if it scores like one of them."""
        shares = []
        for query, documents in enumerate(found):
            once = list({document.document_id: document for document in documents}.values())
            good = self._scores(query, once) >= self._exact[query][-1] - self._slack[query]
            shares.append(min(int(good.sum()), self._exact.shape[1]) / self._exact.shape[1])
        return float(np.mean(shares))

    def ranked_alike(self, found: Found) -> list[bool]:
        """Returns for each query whether the ranking is the exact one, but for the order of equal scores."""
        alike = []
        for query, documents in enumerate(found):
            scores, exact = self._scores(query, documents), self._exact[query]
            alike.append(len(scores) == len(exact) and bool((np.abs(scores - exact) <= self._slack[query]).all()))
        return alike

    def _scores(self, query: int, documents: Sequence[RankedDocument]) -> npt.NDArray[np.float64]:
        """Returns the documents' scores in their order; -inf for one that isn't in the corpus."""
        rows = np.array([self._row_of.get(document_id, -1) for document_id, _ in documents], dtype=np.int64)
        scores = self._documents[rows].astype(np.float64) @ self._queries[query].astype(np.float64)
        return np.where(rows >= 0, scores, -np.inf)
