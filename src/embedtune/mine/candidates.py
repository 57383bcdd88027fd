"""The documents that a query's negatives are chosen from, with the encoder's scores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from embedtune.data.dataset import RetrievalDataset
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder
from embedtune.search.bm25 import BM25Retriever
from embedtune.search.engine import EncodedCorpus, Engine
from embedtune.search.fusion import fuse
from embedtune.search.run import RankedDocument, Run
from embedtune.search.vector_index import FoundRows, ranked_documents

__all__ = ["CandidateFinder", "Pool"]

_FUSED_DEPTH = 100

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
    """Ranks a corpus for queries by vectors, by terms or both; scores are always the encoder's."""

    def __init__(
        self,
        dataset: RetrievalDataset,
        query_ids: Sequence[str],
        encoder: Encoder,
        cache: EmbeddingCache,
        engine: Engine | None = None,
        stored: EncodedCorpus | None = None,
    ) -> None:
        self.dataset = dataset
        self.query_ids = list(query_ids)
        self.documents = stored or (engine or Engine()).encode_corpus(encoder, dataset.corpus, cache)
        self.document_ids = self.documents.document_ids
        self.place = {document_id: place for place, document_id in enumerate(self.document_ids)}
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
        """Returns the encoder's scores of places, shape (rows, any)."""
        owners = np.repeat(np.asarray(rows, dtype=np.int64), places.shape[1])
        return self.pair_scores(owners, places.ravel()).reshape(places.shape)

    def pair_scores(self, rows: Places, places: Places) -> Scores:
        """Returns the encoder's score of each (query, document), both of shape (pairs,)."""
        return self.documents.pair_scores(self.query_vectors, rows, places)

    def alike(self, places: Places, others: Places, cosine: float) -> npt.NDArray[np.bool_]:
        """Returns for each pair of documents whether their vectors have at least that cosine."""
        unique, owners = np.unique(others, return_inverse=True)
        vectors = np.asarray(self.documents.vectors_of(unique), dtype=np.float32)
        scale = self.documents.lengths_of(places) * self.documents.lengths_of(unique)[owners]
        found: npt.NDArray[np.bool_] = self.documents.pair_scores(vectors, owners, places) >= cosine * scale
        return found

    @cached_property
    def _bm25(self) -> BM25Retriever:
        return BM25Retriever(self.dataset.corpus)

    def _dense(self, rows: Sequence[int], depth: int) -> FoundRows:
        return self.documents.search_rows(self.query_vectors[list(rows)], depth)

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
