"""Does a store find what exact search finds, and is its ndcg_at_10 the same?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from embedtune.data.dataset import RetrievalDataset
from embedtune.evaluate.comparison import compare
from embedtune.evaluate.evaluation import evaluate
from embedtune.export.ranked import Ranked
from embedtune.export.vector_store import VectorStore
from embedtune.models.encoder import Vectors
from embedtune.search.run import RankedDocument, RowRankings, Run
from embedtune.search.vector_index import VectorIndex

__all__ = ["SearchCheck", "check_search", "recall_by_score"]

_TOP_K = 10
_MEASURE = "ndcg_at_10"
_ROUNDING = 1e-5
"""Scores in float32, one minus a score, and sums in another order differ by less, for vectors of length 1."""
_TIES = 0.001
"""What equal scores in another order may change in a mean."""
_LEAST_RECALL = {True: 0.999, False: 0.95}


@dataclass(frozen=True)
class SearchCheck:
    """What searching through the store's own client gave, beside our exact search.

    `recall` is the share of the exact ten best that the store finds, by score, so that ties count.
    """

    split: str
    queries: int
    recall: float
    least_recall: float
    exact: float
    store: float
    difference: float
    interval: tuple[float, float]

    @property
    def passed(self) -> bool:
        """Returns whether recall is what the index states, and ndcg_at_10 lower by no more than that explains."""
        allowed = (1 - self.least_recall) * self.exact + _TIES
        return self.recall >= self.least_recall and abs(self.difference) <= allowed

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
    index = VectorIndex(document_vectors, document_ids)
    exact = index.search_rows(query_vectors, _TOP_K)
    found = store.search(query_vectors, _TOP_K)
    ours = evaluate(dataset, Ranked(RowRankings(query_ids, document_ids, exact.rows, exact.scores)), split=split)
    ranked = Run.from_scores({query_id: dict(row) for query_id, row in zip(query_ids, found, strict=True)})
    theirs = evaluate(dataset, Ranked(ranked.rankings), split=split)
    difference = compare(ours, theirs).differences[_MEASURE]
    return SearchCheck(
        split=split,
        queries=len(query_ids),
        recall=recall_by_score(found, exact.scores, document_vectors, query_vectors, document_ids),
        least_recall=_LEAST_RECALL[store.exact] if least_recall is None else least_recall,
        exact=difference.mean_a,
        store=difference.mean_b,
        difference=difference.mean,
        interval=difference.interval,
    )


def recall_by_score(
    found: Sequence[Sequence[RankedDocument]],
    exact_scores: Vectors,
    document_vectors: Vectors,
    query_vectors: Vectors,
    document_ids: Sequence[str],
) -> float:
    """Returns the share of the exact best that was found: a document counts if it scores like one of them.

    Its score is computed anew from the vectors, so that neither a store's rounding nor a stale copy of
    a vector counts for or against it. `exact_scores` is (queries, k), best first.
    """
    row_of = {document_id: row for row, document_id in enumerate(document_ids)}
    longest = float(np.linalg.norm(document_vectors, axis=1).max())
    shares = []
    for documents, best, query in zip(found, exact_scores, query_vectors, strict=True):
        rows = sorted({row_of[document_id] for document_id, _ in documents if document_id in row_of})
        scores = document_vectors[rows].astype(np.float64) @ query.astype(np.float64)
        slack = _ROUNDING * longest * float(np.linalg.norm(query))
        shares.append(min(int((scores >= best[-1] - slack).sum()), len(best)) / len(best))
    return float(np.mean(shares))
