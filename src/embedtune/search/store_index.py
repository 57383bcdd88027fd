"""A collection in a vector store as an index: the store finds candidates, scores and ties are ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from embedtune import progress
from embedtune.errors import OptionsError, StorageError
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, Vectors
from embedtune.search.census import take_census
from embedtune.search.fetched_vectors import FetchedVectors
from embedtune.search.merging import merge_found
from embedtune.search.rescoring import best_first, exact_scores
from embedtune.search.run import RankedDocument
from embedtune.search.store_search import StoreSearch, is_store, open_collection
from embedtune.search.vector_index import (
    FoundRows,
    VectorIndex,
    check_queries,
    paired_products,
    ranked_documents,
    vector_lengths,
)
from embedtune.search.vector_store import StoredVectors, VectorStore

__all__ = ["StoreIndex", "opened_index"]

_QUERIES_AT_ONCE = 256
_SPARE = 10
"""Candidates asked for beyond those wanted, so that the store's rounding doesn't decide who is among them."""
_DEEPER = 4
_DEEPEST = 16_384
"""Milvus finds no more for a query."""
_SEED = 42

Places = npt.NDArray[np.int64]


class StoreIndex:
    """Finds documents by their vectors in a collection that `embedtune publish` filled with this encoder.

    Scores are computed anew from the stored vectors, so they and the ties are those of VectorIndex.
    No document is encoded, but for one of the corpus that the collection lacks, where its vector is
    asked for. `document_ids` are the corpus's and then, with `strangers`, those that only the
    collection has: they take ranks. Without, they are passed over. At the first search the share of
    the exact best documents that was found is measured on `recall_sample` queries, kept in `recall`
    and said; every stored vector is read for it, a part at a time.
    """

    def __init__(
        self,
        store: VectorStore,
        encoder: Encoder,
        corpus: Mapping[str, str],
        cache: EmbeddingCache,
        *,
        strangers: bool = True,
        recall_sample: int = 0,
    ) -> None:
        census = take_census(store, encoder, corpus)
        self.exact = store.exact
        self.place = store.place
        self.recall: float | None = None
        self.document_ids: Sequence[str] = [*corpus, *(census.strangers if strangers else ())]
        self._store = store
        self._encoder, self._corpus, self._cache = encoder, corpus, cache
        self._dim = encoder.dim
        self._recall_sample = recall_sample
        self._stored = census.stored
        self._findable = census.stored if strangers else census.stored - len(census.strangers)
        self._row_of = {document_id: row for row, document_id in enumerate(self.document_ids)}
        self._fetched = FetchedVectors(self.document_ids, encoder.dim, self._read)

    def search(self, query_vectors: Vectors, top_k: int) -> list[list[RankedDocument]]:
        """Returns for each row of `query_vectors`, shape (queries, dim), up to `top_k` documents."""
        lists = ranked_documents(self.search_rows(query_vectors, top_k), self.document_ids)
        return [[document for document in documents if document.score > -np.inf] for documents in lists]

    def search_rows(self, query_vectors: Vectors, top_k: int) -> FoundRows:
        """Returns what `search` does as rows of `document_ids`; -1 and -inf where the store found fewer."""
        queries = check_queries(query_vectors, self._dim)
        found = min(top_k, self._findable)
        rows = np.full((len(queries), found), -1, dtype=np.int64)
        scores = np.full((len(queries), found), -np.inf, dtype=np.float32)
        with progress.task("search the collection", total=len(queries)) as searching:
            for start in range(0, len(queries), _QUERIES_AT_ONCE):
                part = slice(start, start + _QUERIES_AT_ONCE)
                self._search_block(queries[part], rows[part], scores[part])
                searching.advance(len(rows[part]))
        if self.recall is None and self._recall_sample and len(queries):
            self._measure_recall(queries, rows)
        return FoundRows(rows, scores)

    @property
    def vectors(self) -> Vectors:
        """Returns all vectors, (documents, dim), read from the store into memory."""
        return self._fetched[np.arange(len(self.document_ids))]

    def vectors_of(self, rows: Places) -> Vectors:
        """Returns the vectors of rows, (n, dim)."""
        return self._fetched[rows]

    def lengths_of(self, rows: Places) -> Vectors:
        """Returns the length of each row's vector, (n,)."""
        return vector_lengths(self._fetched[rows])

    def pair_scores(self, vectors: Vectors, owners: Places, rows: Places) -> Vectors:
        """Returns (n,): the inner product of each `vectors[owners[i]]` with document `rows[i]`, in float32."""
        unique, places = np.unique(rows, return_inverse=True)
        return paired_products(vectors, owners, self._fetched[unique], places)

    def _search_block(self, queries: Vectors, rows: Places, scores: Vectors) -> None:
        """Fills rows and scores, both (queries, found)."""
        candidates = self._candidates(queries, rows.shape[1])
        owners = np.repeat(np.arange(len(queries)), [len(one) for one in candidates])
        flat = np.array([row for one in candidates for row in one], dtype=np.int64)
        self._fetched.load(flat)  # at once, before threads ask for some
        exact = exact_scores(self._fetched.__getitem__, queries, owners, flat)
        order = best_first(owners, flat, exact, self.document_ids, rows.shape[1])
        ordered = owners[order]
        column = np.arange(len(order)) - np.searchsorted(ordered, ordered)
        rows[ordered, column] = flat[order]
        scores[ordered, column] = exact[order]

    def _candidates(self, queries: Vectors, wanted: int) -> list[list[int]]:
        """Returns the rows that the store finds for each query; strangers that are passed over make it look deeper."""
        most = min(self._stored, max(_DEEPEST, wanted)) if self._findable < self._stored else 0
        asked = min(wanted + _SPARE, self._stored)
        candidates = self._known_rows(queries, asked)
        while asked < most and (short := [query for query, one in enumerate(candidates) if len(one) < wanted]):
            asked = min(asked * _DEEPER, most)
            for query, one in zip(short, self._known_rows(queries[short], asked), strict=True):
                candidates[query] = one
        return candidates

    def _known_rows(self, queries: Vectors, top_k: int) -> list[list[int]]:
        found = self._store.search(queries, top_k)
        return [[self._row_of[document] for document, _ in one if document in self._row_of] for one in found]

    def _read(self, document_ids: list[str]) -> Vectors:
        """Returns vectors in the order of the ids; what only the corpus has is encoded."""
        stored = self._store.fetch(document_ids)
        row_of = {document_id: row for row, document_id in enumerate(stored.ids)}
        missing = [document_id for document_id in document_ids if document_id not in row_of]
        if gone := [document_id for document_id in missing if document_id not in self._corpus]:
            raise StorageError(
                f"the collection changed while it was searched: {gone[0]!r} is gone",
                where=self.place,
                remedy="run the same command again",
            )
        vectors = np.empty((len(document_ids), self._dim), dtype=np.float32)
        rows = np.array([row_of.get(document_id, -1) for document_id in document_ids])
        vectors[rows >= 0] = stored.vectors[rows[rows >= 0]]
        if missing:
            lacking = {document_id: self._corpus[document_id] for document_id in missing}
            vectors[rows < 0] = self._cache.encode_corpus(self._encoder, lacking)
        return vectors

    def _measure_recall(self, queries: Vectors, found: Places) -> None:
        chosen = np.sort(np.random.default_rng(_SEED).permutation(len(queries))[: self._recall_sample])
        expected = self._exact_rows(queries[chosen], found.shape[1])
        shares = [np.isin(one, other).mean() for one, other in zip(expected, found[chosen], strict=True)]
        self.recall = float(np.mean(shares))
        progress.say(
            f"{self.place}: recall {self.recall:.4f} of the exact top {found.shape[1]}, {len(chosen)} queries, "
            "against the stored vectors"
        )

    def _exact_rows(self, queries: Vectors, top_k: int) -> Places:
        """Returns the rows of the exact best, (queries, top_k), from all vectors of the collection."""
        best: list[FoundRows] = []
        for part in self._store.vectors():
            known = [place for place, document_id in enumerate(part.ids) if document_id in self._row_of]
            if known:
                ids = [part.ids[place] for place in known]
                best.append(self._best_of(queries, StoredVectors(ids, part.vectors[known]), top_k))
                best = [merge_found(best, self.document_ids, top_k)]
        return best[0].rows

    def _best_of(self, queries: Vectors, part: StoredVectors, top_k: int) -> FoundRows:
        found = VectorIndex(part.vectors, part.ids).search_rows(queries, top_k)
        row_of = np.array([self._row_of[document_id] for document_id in part.ids])
        return FoundRows(row_of[found.rows], found.scores)


@contextmanager
def opened_index(
    name: str,
    options: StoreSearch,
    encoder: Encoder,
    corpus: Mapping[str, str],
    cache: EmbeddingCache,
    *,
    strangers: bool = True,
) -> Iterator[str | StoreIndex]:
    """Yields the index over a store's collection; for the name of any other index the name itself.

    Raises OptionsError where the name and the place don't fit, StorageError where the collection
    can't be searched with this encoder.
    """
    if not is_store(name):
        if options.path is not None or options.url is not None:
            raise OptionsError(
                f"--path and --url name a vector store, and {name!r} is none", remedy="name the store with --index"
            )
        yield name
        return
    store = open_collection(name, options, encoder.dim)
    try:
        yield StoreIndex(store, encoder, corpus, cache, strangers=strangers, recall_sample=options.recall_sample)
    finally:
        store.close()
