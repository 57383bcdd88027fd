"""Scores that don't depend on where a vector stands, and the one order they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from embedtune.models.encoder import Vectors

__all__ = ["best_first", "exact_scores", "sortable"]

_ROWS_AT_ONCE = 2048
_SIGN = np.uint32(0x80000000)

Places = npt.NDArray[np.int64]
FetchVectors = Callable[[Places], npt.NDArray[Any]]
"""Rows (n,) → their vectors (n, dim)."""


def exact_scores(fetch: FetchVectors, queries: Vectors, owners: Places, rows: Places) -> Vectors:
    """Returns (n,) float32: the inner product of query `owners[i]` with document `rows[i]`, summed in float64.

    `owners` is sorted. Every product is one call of its own on one pair of vectors, so equal
    vectors have equal scores; blocked products give them different last places.
    """
    scores = np.empty(len(rows), dtype=np.float32)
    starts = np.searchsorted(owners, np.arange(len(queries) + 1))

    def score(first: int, last: int) -> None:
        for query in range(first, last):
            exact = queries[query].astype(np.float64)
            for start in range(starts[query], starts[query + 1], _ROWS_AT_ONCE):
                piece = slice(start, min(start + _ROWS_AT_ONCE, starts[query + 1]))
                scores[piece] = np.vecdot(fetch(rows[piece]).astype(np.float64), exact)

    workers = max(1, min(torch.get_num_threads(), len(queries)))
    if workers == 1:
        score(0, len(queries))
        return scores
    bounds = np.linspace(0, len(queries), workers + 1).astype(int).tolist()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(score, bounds[:-1], bounds[1:]))
    return scores


def best_first(
    owners: Places, rows: Places, scores: Vectors, document_ids: Mapping[int, str] | Sequence[str], top_k: int
) -> npt.NDArray[np.int64]:
    """Returns the places of each query's `top_k` best, query by query, in the order of Run."""
    keys = (owners.astype(np.uint64) << np.uint64(32)) | (~sortable(scores)).astype(np.uint64)
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.searchsorted(owners, owners[order])  # owners are sorted: the first place of the query
    inside = np.arange(len(order)) - starts < top_k
    tied = np.flatnonzero((ordered[1:] == ordered[:-1]) & inside[:-1])
    for first in tied[np.flatnonzero(np.diff(tied, prepend=-2) > 1)].tolist():
        last = int(np.searchsorted(ordered, ordered[first], side="right"))
        places = order[first:last].tolist()
        order[first:last] = sorted(places, key=lambda place: document_ids[int(rows[place])], reverse=True)
    chosen: npt.NDArray[np.int64] = order[inside]
    return chosen


def sortable(values: Vectors) -> npt.NDArray[np.uint32]:
    """Returns integers in the order of the floats; -0 counts as 0."""
    bits = (values + np.float32(0)).view(np.uint32)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)
