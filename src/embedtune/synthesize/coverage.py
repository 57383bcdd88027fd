"""Picks a few of many vectors so that all regions are covered."""

from __future__ import annotations

import faiss
import numpy as np

from embedtune.models.encoder import Vectors

__all__ = ["nearest_to_centres"]

_ROUNDS = 20


def nearest_to_centres(vectors: Vectors, count: int, seed: int) -> list[int]:
    """Returns `count` different rows: of each of `count` clusters (k-means) the one nearest to its centre.

    Where a cluster is empty, the row farthest from its centre among those left goes in its place.
    """
    means = faiss.Kmeans(vectors.shape[1], count, niter=_ROUNDS, seed=seed, min_points_per_centroid=1)
    means.train(vectors)
    distances, clusters = means.index.search(vectors, 1)
    order = np.argsort(distances[:, 0], kind="stable")
    _, first = np.unique(clusters[order, 0], return_index=True)
    rows: list[int] = order[np.sort(first)].tolist()
    taken = set(rows)
    farthest = (row for row in order[::-1].tolist() if row not in taken)
    return [*rows, *(next(farthest) for _ in range(count - len(rows)))]
