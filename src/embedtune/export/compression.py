"""How much retrieval a smaller vector costs: bytes a vector against ndcg_at_10, float32 to single bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from embedtune import progress
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import DataError
from embedtune.evaluate.comparison import compare
from embedtune.evaluate.evaluation import Evaluation, evaluate
from embedtune.export.quantised_vectors import BinaryVectors, Int8Vectors
from embedtune.export.ranked import Ranked
from embedtune.export.vector_options import CompressionOptions
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, Vectors
from embedtune.search.rescoring import best_first, exact_scores
from embedtune.search.run import RowRankings
from embedtune.search.vector_index import FoundRows, VectorIndex

__all__ = ["CompressionRow", "CompressionTable", "measure_compression", "truncated"]

_MEASURE = "ndcg_at_10"
_TOP_K = 10
_FLOAT_BYTES, _HALF_BYTES = 4, 2

Rows = npt.NDArray[np.int64]
Fetch = Callable[[Rows], Vectors]


@dataclass(frozen=True)
class CompressionRow:
    """One way of keeping vectors: bytes that are searched, bytes that only rescoring reads, and what it retrieves.

    `difference` is its ndcg_at_10 minus that of float32, with a 95 % interval and p.
    """

    name: str
    bytes_searched: int
    bytes_rescoring: int
    ndcg_at_10: float
    difference: float
    interval: tuple[float, float]
    p: float

    @property
    def bytes_per_vector(self) -> int:
        """Returns all bytes of a document's vector."""
        return self.bytes_searched + self.bytes_rescoring


@dataclass(frozen=True)
class CompressionTable:
    """All ways on one dataset, float32 first."""

    documents: int
    queries: int
    dim: int
    split: str
    rows: Sequence[CompressionRow]

    def to_json(self) -> dict[str, Any]:
        """Returns the table as JSON values."""
        fields = asdict(self)
        for row, written in zip(self.rows, fields["rows"], strict=True):
            written["bytes_per_vector"] = row.bytes_per_vector
        return fields


@dataclass(frozen=True)
class _Way:
    name: str
    bytes_searched: int
    bytes_rescoring: int
    search: Callable[[], FoundRows]


def measure_compression(
    encoder: Encoder,
    dataset: RetrievalDataset,
    options: CompressionOptions | None = None,
    *,
    cache: EmbeddingCache | None = None,
) -> CompressionTable:
    """Returns what each way of keeping the corpus's vectors retrieves; queries are float32 in all.

    int8 takes each dimension's smallest and largest value among the documents as its ends. Bits are
    compared by how many differ; the best `oversample` times ten are then scored again with the float32
    query, against the bits themselves, int8 or float32. Raises DataError for an empty corpus.
    """
    options = options or CompressionOptions()
    if not dataset.corpus:
        raise DataError("there are no documents to compress", where="corpus")
    cache = cache or EmbeddingCache(None)
    query_ids = dataset.split_query_ids(options.split)
    documents = cache.encode_corpus(encoder, dataset.corpus)
    queries = cache.encode(encoder, [dataset.queries[query_id] for query_id in query_ids], "query")
    evaluations: dict[_Way, Evaluation] = {}
    ways = _ways(documents, queries, list(dataset.corpus), options)
    with progress.task("measure compression", total=len(ways)) as measuring:
        for way in ways:
            found = way.search()
            rankings = RowRankings(query_ids, list(dataset.corpus), found.rows, found.scores)
            evaluations[way] = evaluate(dataset, Ranked(rankings), split=options.split)
            measuring.advance()
    rows = _rows(evaluations)
    return CompressionTable(len(documents), len(query_ids), encoder.dim, options.split, rows)


def truncated(vectors: Vectors, dim: int) -> Vectors:
    """Returns the first `dim` dimensions, each vector as long as it was before (1, unless it was moved)."""
    kept = vectors[:, :dim]
    lengths = np.linalg.norm(kept, axis=1, keepdims=True)
    return np.asarray(kept / np.where(lengths == 0, 1, lengths) * np.linalg.norm(vectors, axis=1, keepdims=True))


def _ways(documents: Vectors, queries: Vectors, ids: Sequence[str], options: CompressionOptions) -> list[_Way]:
    dim = documents.shape[1]
    whole, half = dim * _FLOAT_BYTES, dim * _HALF_BYTES
    int8, bits = Int8Vectors.of(documents), BinaryVectors.of(documents)

    def exact(vectors: npt.NDArray[Any], asked: Vectors) -> Callable[[], FoundRows]:
        return lambda: VectorIndex(vectors, ids).search_rows(asked, _TOP_K)

    def by_bits(values: Fetch) -> Callable[[], FoundRows]:
        return lambda: _rescored(bits.candidates(queries, _TOP_K * options.oversample), queries, values, ids)

    ways = [
        _Way("float32", whole, 0, exact(documents, queries)),
        _Way("float16", half, 0, exact(documents.astype(np.float16), queries)),
        _Way("int8", dim, 0, lambda: _rescored(int8.candidates(queries, _TOP_K), queries, int8.values, ids)),
        _Way("binary", bits.bytes_per_vector, 0, lambda: _by_distance(bits, queries, ids)),
        _Way("binary, rescored by its bits", bits.bytes_per_vector, 0, by_bits(bits.values)),
        _Way("binary, rescored by int8", bits.bytes_per_vector, dim, by_bits(int8.values)),
        _Way("binary, rescored by float32", bits.bytes_per_vector, whole, by_bits(lambda rows: documents[rows])),
    ]
    for kept in sorted({kept for kept in options.dims if 0 < kept < dim}, reverse=True):
        parts = truncated(documents, kept), truncated(queries, kept)
        ways.append(_Way(f"first {kept} dimensions, float32", kept * _FLOAT_BYTES, 0, exact(*parts)))
        ways.append(_Way(f"first {kept} dimensions, int8", kept, 0, _truncated_int8(*parts, ids)))
    return ways


def _truncated_int8(documents: Vectors, queries: Vectors, ids: Sequence[str]) -> Callable[[], FoundRows]:
    codes = Int8Vectors.of(documents)
    return lambda: _rescored(codes.candidates(queries, _TOP_K), queries, codes.values, ids)


def _rescored(candidates: Rows, queries: Vectors, values: Fetch, ids: Sequence[str]) -> FoundRows:
    """Returns the best of each query's candidates by the inner product with their values."""
    rows = np.sort(candidates, axis=1).ravel()
    owners = np.repeat(np.arange(len(queries)), candidates.shape[1])
    scores = exact_scores(values, queries, owners, rows)
    return _best(owners, rows, scores, ids, len(queries))


def _by_distance(bits: BinaryVectors, queries: Vectors, ids: Sequence[str]) -> FoundRows:
    """Returns the documents whose bits differ least from the query's."""
    signs = np.where(queries > 0, np.float32(1), np.float32(-1))
    return _rescored(bits.candidates(queries, _TOP_K), signs, bits.values, ids)


def _best(owners: Rows, rows: Rows, scores: Vectors, ids: Sequence[str], queries: int) -> FoundRows:
    order = best_first(owners, rows, scores, ids, _TOP_K)
    found = len(order) // max(queries, 1)
    return FoundRows(rows[order].reshape(queries, found), scores[order].reshape(queries, found))


def _rows(evaluations: Mapping[_Way, Evaluation]) -> list[CompressionRow]:
    base = next(iter(evaluations.values()))
    rows = []
    for way, evaluation in evaluations.items():
        difference = compare(base, evaluation).differences[_MEASURE]
        rows.append(
            CompressionRow(
                way.name,
                way.bytes_searched,
                way.bytes_rescoring,
                difference.mean_b,
                difference.mean,
                difference.interval,
                difference.p,
            )
        )
    return rows
