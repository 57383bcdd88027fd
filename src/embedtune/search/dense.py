"""Queries and documents through an encoder, then an index."""

from __future__ import annotations

from collections.abc import Mapping

from embedtune import progress
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder
from embedtune.options import Options
from embedtune.search.engine import EncodedCorpus, Engine
from embedtune.search.index import Index, build_index, recall_against_exact
from embedtune.search.indexes import INDEXES
from embedtune.search.run import RowRankings, Run
from embedtune.search.store_index import StoreIndex

__all__ = ["DenseRetriever"]

_SAMPLE = 200
_SEED = 42
_BYTES_OF_A_NUMBER = 4


class DenseRetriever:
    """Ranks documents by the inner product of their vector with the query's.

    `index` names one of search/indexes. Where it is approximate, its recall against exact
    search is measured on a sample of the first queries, kept in `recall` and said. `engine` says
    where documents are encoded and, by the exact index, searched; an approximate one is built here.
    Or `index` is a collection in a vector store: then no document is encoded, and it measures its recall.
    """

    name = "dense"

    def __init__(
        self,
        encoder: Encoder,
        corpus: Mapping[str, str],
        cache: EmbeddingCache,
        index: str | StoreIndex = "exact",
        index_options: Options | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.encoder = encoder
        self.cache = cache
        self.recall: float | None = None
        self._index: Index | None = None
        self._documents: EncodedCorpus
        if isinstance(index, StoreIndex):
            self._documents = index
            return
        INDEXES.load(index)  # an unknown name is said before the encoding
        self._documents = (engine or Engine()).encode_corpus(encoder, corpus, cache)
        self._index_name = index
        if index != "exact":
            self._index = build_index(index, self._documents.vectors, self._documents.document_ids, index_options)

    @property
    def size_bytes(self) -> int:
        """Returns the bytes of all documents' vectors in float32."""
        return len(self._documents.document_ids) * self.encoder.dim * _BYTES_OF_A_NUMBER

    def retrieve(self, queries: Mapping[str, str], top_k: int) -> Run:
        """Returns the `top_k` best documents of each query."""
        vectors = self.cache.encode(self.encoder, list(queries.values()), "query")
        found = (self._index or self._documents).search_rows(vectors, top_k)
        if isinstance(self._documents, StoreIndex):
            self.recall = self._documents.recall
        if self._index is not None and self.recall is None and len(queries):
            self.recall = recall_against_exact(
                self._index, self._documents.vectors, vectors, top_k, sample=_SAMPLE, seed=_SEED
            )
            asked = min(_SAMPLE, len(queries))
            progress.say(f"{self._index_name}: recall {self.recall:.4f} of the exact top {top_k}, {asked} queries")
        return Run(RowRankings(list(queries), self._documents.document_ids, found.rows, found.scores))
