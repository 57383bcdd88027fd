"""Which scores a negative may have, and which of those left are taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from embedtune.mine.candidates import Scores
from embedtune.mine.options import MineOptions

__all__ = ["Bounds", "bounds", "choose", "generator_of"]

Mask = npt.NDArray[np.bool_]


class Bounds(NamedTuple):
    """The lowest and highest score that a negative of each query may have, both of shape (queries,)."""

    floor: npt.NDArray[np.float64]
    ceiling: npt.NDArray[np.float64]

    def allow(self, rows: Sequence[int], scores: Scores) -> Mask:
        """Returns which scores, shape (rows, any), are within bounds."""
        chosen = list(rows)
        allowed: Mask = (scores <= self.ceiling[chosen][:, None]) & (scores >= self.floor[chosen][:, None])
        return allowed


def bounds(lowest: Scores, options: MineOptions) -> Bounds:
    """Returns the bounds by the strategy; `lowest` is the score of each query's lowest-scored positive.

    positive-aware: NV-Retriever (https://arxiv.org/abs/2407.15831), section 3.2, TopK-PercPos, over
    the lowest-scored positive. Under a negative score a share would be above it, so it is the
    score itself there.
    """
    positive = lowest.astype(np.float64)
    ceiling = np.full(len(positive), np.inf)
    if options.strategy == "positive-aware":
        ceiling = np.minimum(positive, options.positive_share * positive)
    if options.strategy == "absolute-margin":
        ceiling = positive - options.margin
    if options.max_score is not None:
        ceiling = np.minimum(ceiling, options.max_score)
    floor = np.full(len(positive), -np.inf if options.min_score is None else options.min_score)
    return Bounds(floor, ceiling)


def choose(
    allowed: Mask, wanted: Sequence[int], query_ids: Sequence[str], options: MineOptions
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns (rows, columns) of what is taken: the first `wanted` of a row, or as many drawn at random.

    What is drawn depends on the seed and the query alone, not on the queries around it.
    """
    if options.sample is None:
        taken = allowed & (np.cumsum(allowed, axis=1) <= np.asarray(wanted)[:, None])
        rows, columns = np.nonzero(taken)
        return rows, columns
    drawn = []
    for row, query_id in enumerate(query_ids):
        columns = np.flatnonzero(allowed[row])
        drawn.append(generator_of(query_id, options.seed).permutation(columns)[: wanted[row]])
    sizes = [len(columns) for columns in drawn]
    return np.repeat(np.arange(len(drawn)), sizes), np.concatenate([np.empty(0, dtype=np.int64), *drawn])


def generator_of(query_id: str, seed: int) -> np.random.Generator:
    """Returns the generator of one query, the same whatever other queries there are."""
    return np.random.default_rng([seed, crc32(query_id.encode("utf-8", "surrogatepass"))])
