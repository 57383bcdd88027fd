"""Joins what is linked, directly or through others, into groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["connected_groups"]


def connected_groups(count: int, links: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Returns the groups of 0 … count-1 joined by links, each sorted, ordered by first member."""
    from scipy.sparse import coo_array  # here, because it takes as long as the rest of --help
    from scipy.sparse.csgraph import connected_components

    if count == 0:
        return []
    ends = np.asarray(links, dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), dtype=np.int8), (ends[:, 0], ends[:, 1])), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    groups: dict[int, list[int]] = {}
    for position, label in enumerate(labels.tolist()):
        groups.setdefault(label, []).append(position)
    return list(groups.values())
