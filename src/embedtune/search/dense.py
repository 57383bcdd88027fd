"""Queries and documents through an encoder, then an index."""

from __future__ import annotations

from collections.abc import Mapping

from embedtune import progress
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder
from embedtune.options import Options
from embedtune.search.index import Index, build_index, recall_against_exact
from embedtune.search.indexes import INDEXES
from embedtune.search.run import RowRankings, Run
from embedtune.search.store_index import StoreIndex

__all__ = ["DenseRetriever"]

_SAMPLE = 200
_SEED = 42


class DenseRetriever:
    """Ranks documents by the inner product of their vector with the query's.

    `index` names one of search/indexes. Where it is approximate, its recall against exact
    search is measured on a sample of the first queries, kept in `recall` and said. Or it is a
    collection in a vector store: then no document is encoded, and it measures its own recall.
    """

    name = "dense"

    def __init__(
        self,
        encoder: Encoder,
        corpus: Mapping[str, str],
        cache: EmbeddingCache,
        index: str | StoreIndex = "exact",
        index_options: Options | None = None,
    ) -> None:
        self.encoder = encoder
        self.cache = cache
        self.recall: float | None = None
        self.index: Index | StoreIndex
        if isinstance(index, StoreIndex):
            self.index = index
            return
        INDEXES.load(index)  # an unknown name is said before the encoding
        self._document_vectors = cache.encode_corpus(encoder, corpus)
        self._index_name = index
        self.index = build_index(index, self._document_vectors, list(corpus), index_options)

    def retrieve(self, queries: Mapping[str, str], top_k: int) -> Run:
        """Returns the `top_k` best documents of each query."""
        vectors = self.cache.encode(self.encoder, list(queries.values()), "query")
        found = self.index.search_rows(vectors, top_k)
        if isinstance(self.index, StoreIndex):
            self.recall = self.index.recall
        elif not self.index.exact and self.recall is None and len(queries):
            self.recall = recall_against_exact(
                self.index, self._document_vectors, vectors, top_k, sample=_SAMPLE, seed=_SEED
            )
            asked = min(_SAMPLE, len(queries))
            progress.say(f"{self._index_name}: recall {self.recall:.4f} of the exact top {top_k}, {asked} queries")
        return Run(RowRankings(list(queries), self.index.document_ids, found.rows, found.scores))
