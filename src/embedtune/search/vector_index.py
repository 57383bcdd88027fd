"""Exact search over vectors, repeatable to the last place."""

from __future__ import annotations

from collections.abc import Sequence

import faiss
import numpy as np
import numpy.typing as npt

from embedtune import progress
from embedtune.errors import EvaluationError
from embedtune.models.encoder import Vectors
from embedtune.search.run import RankedDocument, rank, rank_top

__all__ = ["VectorIndex"]

_QUERIES_PER_BLOCK = 4096
"""FAISS multiplies blocks of at least some 500 queries by BLAS and scans for fewer: 4 times slower at 256."""
_SPARE = 16
_ROUNDING = 1e-5
"""More than float32 rounding moves the inner product of two unit vectors of 4,096 dimensions."""


class VectorIndex:
    """Finds the documents whose vectors have the largest inner product with a query's.

    FAISS finds candidates (benchmarks/exact_search.py has the comparison with a matrix
    product); their scores are computed again in float64, each on its own, because blocked
    float32 products give equal vectors slightly different scores by where they stand.
    Ties are ordered as in Run.
    """

    exact = True

    def __init__(self, vectors: Vectors, document_ids: Sequence[str]) -> None:
        if len(vectors) != len(document_ids):
            raise EvaluationError(f"{len(vectors)} vectors for {len(document_ids)} document ids")
        if not len(vectors):
            raise EvaluationError("there are no documents to search")
        self.document_ids = list(document_ids)
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self._longest = float(np.sqrt((self.vectors.astype(np.float64) ** 2).sum(axis=1)).max())
        self._index = faiss.IndexFlatIP(self.vectors.shape[1])
        self._index.add(self.vectors)

    def search(self, query_vectors: Vectors, top_k: int) -> list[list[RankedDocument]]:
        """Returns for each row of `query_vectors`, shape (queries, dim), its `top_k` best documents."""
        if query_vectors.shape[1:] != self.vectors.shape[1:]:
            raise EvaluationError(
                f"query vectors have {query_vectors.shape[1]} dimensions, documents {self.vectors.shape[1]}",
                remedy="encode both with the same model",
            )
        results: list[list[RankedDocument]] = []
        with progress.task("search", total=len(query_vectors)) as searching:
            for start in range(0, len(query_vectors), _QUERIES_PER_BLOCK):
                block = np.ascontiguousarray(query_vectors[start : start + _QUERIES_PER_BLOCK], dtype=np.float32)
                results += self._search_block(block, top_k)
                searching.advance(len(block))
        return results

    def _search_block(self, queries: Vectors, top_k: int) -> list[list[RankedDocument]]:
        depth = min(top_k + _SPARE, len(self.document_ids))
        coarse, places = self._index.search(queries, depth)
        rankings = []
        for query, coarse_row, row in zip(queries, coarse, places, strict=True):
            exact = self._exact_scores(query, row)
            ranking = rank({self.document_ids[i]: float(s) for i, s in zip(row, exact, strict=True)})[:top_k]
            slack = _ROUNDING * self._longest * float(np.linalg.norm(query))
            if depth < len(self.document_ids) and coarse_row[-1] + slack >= ranking[-1].score:
                ranking = self._search_thoroughly(query, ranking[-1].score - 2 * slack, top_k)
            rankings.append(ranking)
        return rankings

    def _exact_scores(self, query: Vectors, places: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        products = self.vectors[places].astype(np.float64) * query.astype(np.float64)
        result: npt.NDArray[np.float32] = products.sum(axis=1).astype(np.float32)
        return result

    def _search_thoroughly(self, query: Vectors, floor: float, top_k: int) -> list[RankedDocument]:
        """Scores every document that could tie with the last place; for corpora full of copies."""
        places = np.flatnonzero(self.vectors @ query >= floor)
        return rank_top(self._exact_scores(query, places), [self.document_ids[i] for i in places], top_k)
