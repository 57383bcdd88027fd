"""Document vectors in int8 or in bits, and the search over them; queries stay float32.

The codes are those of sentence_transformers' quantize_embeddings, so that any store that takes
them searches what was measured here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embedtune.models.encoder import Vectors

__all__ = ["BinaryVectors", "Int8Vectors", "best_rows"]

_DOCUMENTS_PER_BLOCK = 8192
_QUERIES_PER_TILE = 64
_LEVELS = 255
_OFFSET = 128
_WORD_BYTES = 8

Rows = npt.NDArray[np.int64]
ScoreBlock = Callable[[slice, slice], npt.NDArray[Any]]
"""Queries and documents, as slices → scores (queries, documents), higher is better."""


@dataclass(frozen=True)
class Int8Vectors:
    """Codes (documents, dim) int8; value = starts + (code + 128.5) · steps, one start and step a dimension."""

    codes: npt.NDArray[np.int8]
    starts: Vectors
    steps: Vectors

    @classmethod
    def of(cls, vectors: Vectors) -> Int8Vectors:
        """Returns the vectors in 256 even steps between each dimension's smallest and largest value."""
        starts = vectors.min(axis=0)
        steps = (vectors.max(axis=0) - starts) / _LEVELS
        steps = np.where(steps == 0, np.float32(1), steps)
        codes = np.empty(vectors.shape, dtype=np.int8)
        for start in range(0, len(vectors), _DOCUMENTS_PER_BLOCK):
            block = slice(start, start + _DOCUMENTS_PER_BLOCK)
            levels = np.clip(np.floor((vectors[block] - starts) / steps), 0, _LEVELS)
            codes[block] = (levels - _OFFSET).astype(np.int8)
        return cls(codes, starts, steps)

    @property
    def bytes_per_vector(self) -> int:
        """Returns the bytes of one document; the two numbers a dimension are shared by all."""
        return int(self.codes.shape[1])

    def values(self, rows: Rows) -> Vectors:
        """Returns (rows, dim) float32: the middle of each step."""
        middle = self.codes[rows].astype(np.float32) + np.float32(_OFFSET + 0.5)
        return np.asarray(self.starts + middle * self.steps, dtype=np.float32)

    def candidates(self, queries: Vectors, count: int) -> Rows:
        """Returns (queries, count) documents with the largest inner products, in no order.

        Σ q·(start + (code + 128.5)·step) is (q·step)·code and a part that is the same for all documents.
        """
        scaled = np.asarray(queries * self.steps, dtype=np.float32)

        def score(tile: slice, block: slice) -> Vectors:
            return np.asarray(scaled[tile] @ self.codes[block].astype(np.float32).T)

        return best_rows(score, len(queries), len(self.codes), count)


@dataclass(frozen=True)
class BinaryVectors:
    """A bit a dimension, 1 where the value is above 0, packed as numpy.packbits does: (documents, bytes)."""

    bits: npt.NDArray[np.uint8]
    dim: int

    @classmethod
    def of(cls, vectors: Vectors) -> BinaryVectors:
        """Returns the signs of the vectors."""
        return cls(np.packbits(vectors > 0, axis=1), vectors.shape[1])

    @property
    def bytes_per_vector(self) -> int:
        """Returns the bytes of one document."""
        return int(self.bits.shape[1])

    def values(self, rows: Rows) -> Vectors:
        """Returns (rows, dim) float32: 1 and -1."""
        unpacked = np.unpackbits(self.bits[rows], axis=1, count=self.dim)
        return unpacked.astype(np.float32) * 2 - 1

    def candidates(self, queries: Vectors, count: int) -> Rows:
        """Returns (queries, count) documents whose bits differ least from the query's, earlier rows first in ties."""
        asked, documents = _words(np.packbits(queries > 0, axis=1)), _words(self.bits)
        total = len(documents)

        def score(tile: slice, block: slice) -> npt.NDArray[np.int64]:
            differing = np.bitwise_count(asked[tile, None, :] ^ documents[None, block, :])
            distances = differing.sum(axis=2, dtype=np.int64)
            keys: Rows = distances * total + np.arange(block.start, block.start + distances.shape[1])
            return -keys

        return best_rows(score, len(queries), total, count)


def best_rows(score: ScoreBlock, queries: int, documents: int, count: int) -> Rows:
    """Returns (queries, count) rows of the best-scored documents, in no order; memory stays bounded."""
    count = min(count, documents)
    found = np.empty((queries, count), dtype=np.int64)
    for first in range(0, queries, _QUERIES_PER_TILE):
        tile = slice(first, min(first + _QUERIES_PER_TILE, queries))
        rows = np.empty((tile.stop - first, 0), dtype=np.int64)
        scores: npt.NDArray[Any] | None = None
        for start in range(0, documents, _DOCUMENTS_PER_BLOCK):
            block = slice(start, min(start + _DOCUMENTS_PER_BLOCK, documents))
            fresh = score(tile, block)
            scores = fresh if scores is None else np.concatenate([scores, fresh], axis=1)
            numbers = np.broadcast_to(np.arange(block.start, block.stop), fresh.shape)
            rows = np.concatenate([rows, numbers], axis=1)
            if scores.shape[1] > count:
                kept = np.argpartition(-scores, count - 1, axis=1)[:, :count]
                rows, scores = np.take_along_axis(rows, kept, 1), np.take_along_axis(scores, kept, 1)
        found[tile] = rows
    return found


def _words(packed: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Returns the bytes as 64-bit words, zeros at the end."""
    missing = -packed.shape[1] % _WORD_BYTES
    return np.ascontiguousarray(np.pad(packed, ((0, 0), (0, missing)))).view(np.uint64)
