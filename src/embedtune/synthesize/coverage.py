"""Picks a few of many vectors so that all regions are covered."""

from __future__ import annotations

import faiss
import numpy as np

from embedtune.models.encoder import Vectors

__all__ = ["nearest_to_centres"]

_ROUNDS = 20
_ROWS_FOR_THE_START = 50_000


def nearest_to_centres(vectors: Vectors, count: int, seed: int) -> list[int]:
    """Returns `count` different rows: of each of `count` clusters (k-means) the one nearest to its centre.

    Where a cluster is empty, the row farthest from its centre among those left goes in its place.
    """
    means = faiss.Kmeans(vectors.shape[1], count, niter=_ROUNDS, seed=seed, min_points_per_centroid=1)
    means.train(vectors, init_centroids=_first_centres(vectors, count, seed))
    distances, clusters = means.index.search(vectors, 1)
    order = np.argsort(distances[:, 0], kind="stable")
    _, first = np.unique(clusters[order, 0], return_index=True)
    rows: list[int] = order[np.sort(first)].tolist()
    taken = set(rows)
    farthest = (row for row in order[::-1].tolist() if row not in taken)
    return [*rows, *(next(farthest) for _ in range(count - len(rows)))]


def _first_centres(vectors: Vectors, count: int, seed: int) -> Vectors:
    """Returns (count, dim): rows drawn in proportion to their squared distance from those drawn before (k-means++).

    Centres drawn evenly would nearly all fall into the large clusters, and small ones be lost.
    """
    chance = np.random.default_rng(seed)
    pool = vectors
    if len(vectors) > max(count, _ROWS_FOR_THE_START):
        pool = vectors[np.sort(chance.choice(len(vectors), max(count, _ROWS_FOR_THE_START), replace=False))]
    squares = np.einsum("ij,ij->i", pool, pool)
    distances = np.full(len(pool), np.inf)
    drawn = [int(chance.integers(len(pool)))]
    for _ in range(count - 1):
        last = drawn[-1]
        distances = np.minimum(distances, np.maximum(0.0, squares + squares[last] - 2 * (pool @ pool[last])))
        total = float(distances.sum())
        drawn.append(
            int(np.searchsorted(np.cumsum(distances), chance.random() * total, side="right")) if total else last
        )
    return np.ascontiguousarray(pool[np.minimum(drawn, len(pool) - 1)])
