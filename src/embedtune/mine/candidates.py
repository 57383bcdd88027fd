"""The documents that a query's negatives are chosen from, with the encoder's scores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from embedtune.data.dataset import RetrievalDataset
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, Vectors
from embedtune.search.bm25 import BM25Retriever
from embedtune.search.fetched_vectors import FetchedVectors
from embedtune.search.fusion import fuse
from embedtune.search.run import RankedDocument, Run
from embedtune.search.store_index import StoreIndex
from embedtune.search.vector_index import FoundRows, VectorIndex, ranked_documents

__all__ = ["CandidateFinder", "Pool"]

_FUSED_DEPTH = 100
_GATHERED_BYTES = 64_000_000

Places = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


class Pool(NamedTuple):
    """Candidates of some queries, best first, a row a query: places in the corpus, -1 past a list's end, and scores."""

    places: Places
    scores: Scores

    def beyond(self, column: int) -> Pool:
        """Returns the pool without its first columns."""
        return Pool(self.places[:, column:], self.scores[:, column:])


class CandidateFinder:
    """Ranks a corpus for queries by vectors, by terms or both; scores are always the encoder's.

    With `stored` the vectors are those of a collection in a vector store, which also finds the dense candidates.
    """

    def __init__(
        self,
        dataset: RetrievalDataset,
        query_ids: Sequence[str],
        encoder: Encoder,
        cache: EmbeddingCache,
        stored: StoreIndex | None = None,
    ) -> None:
        self.dataset = dataset
        self.query_ids = list(query_ids)
        self.document_ids = list(dataset.corpus)
        self.place = {document_id: place for place, document_id in enumerate(self.document_ids)}
        self._stored = stored
        self.document_vectors: Vectors | FetchedVectors = (
            cache.encode_corpus(encoder, dataset.corpus) if stored is None else stored.vectors
        )
        self.query_vectors = cache.encode(encoder, [dataset.queries[query_id] for query_id in query_ids], "query")

    def find(self, rows: Sequence[int], depth: int, by: str) -> Pool:
        """Returns the `depth` best documents of these queries; `by` is dense, bm25 or hybrid."""
        if by == "dense":
            return Pool(*self._dense(rows, depth))
        ranked = self._by_terms(rows, depth if by == "bm25" else max(depth, _FUSED_DEPTH))
        if by == "hybrid":
            dense = ranked_documents(self._dense(rows, max(depth, _FUSED_DEPTH)), self.document_ids)
            fused = fuse([_run(dense), _run(ranked)], depth)
            ranked = list(fused.rankings.values())
        return self.drawn(rows, self._places(ranked))

    def drawn(self, rows: Sequence[int], places: Places) -> Pool:
        """Returns the pool of these places, shape (rows, any), with their scores."""
        return Pool(places, self.score(rows, places))

    def score(self, rows: Sequence[int], places: Places) -> Scores:
        """Returns the encoder's scores of places, shape (rows, any), a block of queries at a time."""
        scores = np.empty(places.shape, dtype=np.float32)
        queries = self.query_vectors[list(rows)]
        step = max(1, _GATHERED_BYTES // max(1, places.shape[1] * self.document_vectors.shape[1] * 4))
        for start in range(0, len(places), step):
            block = slice(start, start + step)
            np.einsum("qd,qkd->qk", queries[block], self.document_vectors[places[block]], out=scores[block])
        return scores

    def pair_scores(self, rows: Places, places: Places) -> Scores:
        """Returns the encoder's score of each (query, document), both of shape (pairs,)."""
        return _products(self.query_vectors, rows, self.document_vectors, places)

    def similarities(self, places: Places, others: Places) -> Scores:
        """Returns the inner product of each pair of documents."""
        return _products(self.document_vectors, places, self.document_vectors, others)

    def lengths(self, places: Places) -> Scores:
        """Returns the length of each of these documents' vectors; 1 where the encoder normalises."""
        return np.sqrt(self.similarities(places, places))

    @cached_property
    def _index(self) -> VectorIndex | StoreIndex:
        if isinstance(self.document_vectors, np.ndarray):
            return VectorIndex(self.document_vectors, self.document_ids)
        assert self._stored is not None  # noqa: S101 - its vectors are the ones above
        return self._stored

    @cached_property
    def _bm25(self) -> BM25Retriever:
        return BM25Retriever(self.dataset.corpus)

    def _dense(self, rows: Sequence[int], depth: int) -> FoundRows:
        return self._index.search_rows(self.query_vectors[list(rows)], depth)

    def _by_terms(self, rows: Sequence[int], depth: int) -> list[Sequence[RankedDocument]]:
        queries = {str(row): self.dataset.queries[self.query_ids[row]] for row in rows}
        return list(self._bm25.retrieve(queries, depth).rankings.values())

    def _places(self, rankings: Sequence[Sequence[RankedDocument]]) -> Places:
        width = max((len(ranking) for ranking in rankings), default=0)
        places = np.full((len(rankings), width), -1, dtype=np.int64)
        for row, ranking in enumerate(rankings):
            places[row, : len(ranking)] = [self.place[document.document_id] for document in ranking]
        return places


def _run(rankings: Sequence[Sequence[RankedDocument]]) -> Run:
    return Run({str(row): ranking for row, ranking in enumerate(rankings)})


def _products(one: Vectors | FetchedVectors, rows: Places, other: Vectors | FetchedVectors, places: Places) -> Scores:
    products = np.empty(len(rows), dtype=np.float32)
    step = max(1, _GATHERED_BYTES // max(1, one.shape[1] * 8))
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        np.einsum("nd,nd->n", one[rows[block]], other[places[block]], out=products[block])
    return products
