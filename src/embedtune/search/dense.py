"""Queries and documents through an encoder, then exact search."""

from __future__ import annotations

from collections.abc import Mapping

from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder
from embedtune.search.run import Run
from embedtune.search.vector_index import VectorIndex

__all__ = ["DenseRetriever"]


class DenseRetriever:
    """Ranks documents by the inner product of their vector with the query's."""

    name = "dense"

    def __init__(self, encoder: Encoder, corpus: Mapping[str, str], cache: EmbeddingCache) -> None:
        self.encoder = encoder
        self.cache = cache
        document_vectors = cache.encode_corpus(encoder, corpus)
        self.index = VectorIndex(document_vectors, list(corpus))

    def retrieve(self, queries: Mapping[str, str], top_k: int) -> Run:
        """Returns the `top_k` best documents of each query."""
        vectors = self.cache.encode(self.encoder, list(queries.values()), "query")
        return Run(dict(zip(queries, self.index.search(vectors, top_k), strict=True)))
