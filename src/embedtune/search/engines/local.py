"""In this process, with vectors in memory and in the cache on disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder
from embedtune.search.vector_index import VectorIndex

if TYPE_CHECKING:
    from embedtune.search.engine import Engine

__all__ = ["encode_corpus"]


def encode_corpus(encoder: Encoder, corpus: Mapping[str, str], cache: EmbeddingCache, engine: Engine) -> VectorIndex:
    """Returns the exact index over the corpus's vectors."""
    return VectorIndex(cache.encode_corpus(encoder, corpus), list(corpus))
