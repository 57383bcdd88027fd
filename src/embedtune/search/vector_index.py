"""Exact search over vectors, repeatable to the last place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embedtune import progress
from embedtune.errors import EvaluationError, StorageError
from embedtune.models.encoder import Vectors
from embedtune.models.tensor_file import TensorFile, TensorFileError, write_rows
from embedtune.search.coarse_pass import CoarseVectors, computes_in_bfloat16
from embedtune.search.run import RankedDocument
from embedtune.search.shortlist import Shortlist

__all__ = [
    "CheckedVectors",
    "FoundRows",
    "VectorIndex",
    "check_queries",
    "check_vectors",
    "paired_products",
    "ranked_documents",
    "vector_lengths",
]

_QUERIES_AT_ONCE = 16_384
_QUERIES_PER_TILE = 1024
_DOCUMENTS_PER_TILE = 8192
_FEW_QUERIES = 128
"""Fewer don't repay rounding the documents; they take float32 and wider tiles."""
_LONGEST = 1e18
_GATHERED_BYTES = 64_000_000
_FILE = "vectors.safetensors"


class FoundRows(NamedTuple):
    """Rows of the documents found and their scores, both (queries, found), best first."""

    rows: npt.NDArray[np.int64]
    scores: Vectors


class CheckedVectors(NamedTuple):
    """Finite vectors, (documents, dim), and the length of each."""

    vectors: npt.NDArray[Any]
    lengths: Vectors


class VectorIndex:
    """Finds the documents whose vectors have the largest inner product with a query's.

    Vectors may be a memory map, float32 or float16: they are read in blocks and never copied
    whole. A coarse pass finds who could be among the best; scores are computed again in
    float64, each on its own, and ties ordered as in Run (design/0002).
    """

    exact = True

    def __init__(self, vectors: npt.NDArray[Any], document_ids: Sequence[str]) -> None:
        self.document_ids = list(document_ids)
        self.vectors, self._lengths = check_vectors(vectors, self.document_ids)

    @classmethod
    def load(cls, folder: Path, document_ids: Sequence[str]) -> VectorIndex:
        """Returns the index over the vectors in a folder, as a memory map; raises StorageError where it can't."""
        try:
            vectors = TensorFile.open(folder / _FILE).tensors["vectors"]
        except (TensorFileError, KeyError) as error:
            raise StorageError(
                f"{_FILE} can't be read: {error}", where=str(folder), remedy="build and save the index again"
            ) from error
        return cls(vectors, document_ids)

    def save(self, folder: Path) -> None:
        """Writes the vectors into the folder, block by block."""
        starts = range(0, len(self.vectors), _DOCUMENTS_PER_TILE)
        blocks = (self.vectors[start : start + _DOCUMENTS_PER_TILE] for start in starts)
        write_rows(folder / _FILE, "vectors", self.vectors.dtype, (len(self.vectors), self.dim), blocks)

    @property
    def dim(self) -> int:
        """Returns the length of one vector."""
        return int(self.vectors.shape[1])

    def search(self, query_vectors: Vectors, top_k: int) -> list[list[RankedDocument]]:
        """Returns for each row of `query_vectors`, shape (queries, dim), its `top_k` best documents."""
        return ranked_documents(self.search_rows(query_vectors, top_k), self.document_ids)

    def search_rows(self, query_vectors: Vectors, top_k: int) -> FoundRows:
        """Returns what `search` does as rows of the vectors: the fast form."""
        queries = check_queries(query_vectors, self.dim)
        found = min(top_k, len(self.document_ids))
        parts = [
            self._search_block(queries[start : start + _QUERIES_AT_ONCE], found)
            for start in range(0, len(queries), _QUERIES_AT_ONCE)
        ]
        if not parts:
            return FoundRows(np.empty((0, found), dtype=np.int64), np.empty((0, found), dtype=np.float32))
        return FoundRows(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def vectors_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Returns the vectors of rows, (n, dim), as they are stored."""
        return self.vectors[rows]

    def lengths_of(self, rows: npt.NDArray[np.int64]) -> Vectors:
        """Returns the length of each row's vector, (n,)."""
        return self._lengths[rows]

    def pair_scores(self, vectors: Vectors, owners: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> Vectors:
        """Returns (n,): the inner product of each `vectors[owners[i]]` with document `rows[i]`, in float32."""
        return paired_products(vectors, owners, self.vectors, rows)

    def _search_block(self, queries: Vectors, top_k: int) -> FoundRows:
        few = len(queries) < _FEW_QUERIES
        prepare = CoarseVectors.unrounded if few or not computes_in_bfloat16() else CoarseVectors.rounded
        width = _DOCUMENTS_PER_TILE * (8 if few else 1)
        coarse = prepare(queries, vector_lengths(queries))
        tiles = [slice(start, start + _QUERIES_PER_TILE) for start in range(0, len(queries), _QUERIES_PER_TILE)]
        lists = [Shortlist(queries[tile], coarse[tile], top_k, self.vectors_of, self.document_ids) for tile in tiles]
        with progress.task("search documents", total=len(self.vectors)) as searching:
            for start in range(0, len(self.vectors), width):
                block = prepare(self.vectors[start : start + width], self._lengths[start : start + width])
                for shortlist in lists:
                    shortlist.scan(block, start)
                searching.advance(len(block))
        found = [shortlist.finish() for shortlist in lists]
        return FoundRows(*(np.concatenate(part) for part in zip(*found, strict=True)))


def check_vectors(vectors: npt.NDArray[Any], document_ids: Sequence[str]) -> CheckedVectors:
    """Returns the vectors as float32 or float16, uncopied where they are that, and their lengths.

    Raises EvaluationError where there are none, too few or many, or some aren't finite.
    """
    if len(vectors) != len(document_ids):
        raise EvaluationError(f"{len(vectors)} vectors for {len(document_ids)} document ids")
    if not len(vectors):
        raise EvaluationError("there are no documents to search")
    found = np.asarray(vectors)
    if found.ndim != 2:
        raise EvaluationError(f"vectors have the shape {found.shape}, expected (documents, dimensions)")
    if found.dtype not in (np.float32, np.float16):
        found = found.astype(np.float32)
    lengths = vector_lengths(found)
    bad = _not_finite(lengths)
    if len(bad):
        names = ", ".join(document_ids[row] for row in bad[:3])
        raise EvaluationError(
            f"the vectors of {len(bad)} documents aren't finite, such as {names}",
            remedy="encode these documents again; NaN comes from damaged weights or an overflow in float16",
        )
    return CheckedVectors(found, lengths)


def check_queries(query_vectors: Vectors, dim: int) -> Vectors:
    """Returns the query vectors as float32; raises EvaluationError for wrong dimensions and what isn't finite."""
    if query_vectors.ndim != 2 or query_vectors.shape[1] != dim:
        raise EvaluationError(
            f"query vectors have {query_vectors.shape[-1]} dimensions, documents {dim}",
            remedy="encode both with the same model",
        )
    queries = np.ascontiguousarray(query_vectors, dtype=np.float32)
    bad = _not_finite(vector_lengths(queries))
    if len(bad):
        raise EvaluationError(f"query vectors aren't finite, the first in row {bad[0]}", remedy="encode them again")
    return queries


def paired_products(
    one: Vectors, owners: npt.NDArray[np.int64], other: npt.NDArray[Any], rows: npt.NDArray[np.int64]
) -> Vectors:
    """Returns (n,) float32: the inner product of each `one[owners[i]]` with `other[rows[i]]`, a block at a time."""
    products = np.empty(len(rows), dtype=np.float32)
    step = max(1, _GATHERED_BYTES // max(1, one.shape[1] * 8))
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        np.einsum("nd,nd->n", one[owners[block]], other[rows[block]], out=products[block])
    return products


def ranked_documents(found: FoundRows, document_ids: Sequence[str]) -> list[list[RankedDocument]]:
    """Returns each query's documents by id."""
    return [
        [RankedDocument(document_ids[row], score) for row, score in zip(rows, scores, strict=True)]
        for rows, scores in zip(found.rows.tolist(), found.scores.tolist(), strict=True)
    ]


def vector_lengths(vectors: npt.NDArray[Any]) -> Vectors:
    """Returns each row's length, (n,) float32, block by block."""
    lengths = np.empty(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), _DOCUMENTS_PER_TILE):
        block = np.asarray(vectors[start : start + _DOCUMENTS_PER_TILE], dtype=np.float32)
        np.sqrt(np.einsum("ij,ij->i", block, block), out=lengths[start : start + len(block)])
    return lengths


def _not_finite(lengths: Vectors) -> npt.NDArray[np.int64]:
    """Returns the rows that hold NaN or infinity, or are so long that products would overflow."""
    return np.flatnonzero(~(lengths <= np.float32(_LONGEST)))
