"""How far a mean over queries can be trusted by itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["mean_interval"]

_ROWS_PER_BLOCK = 1000
_TAILS = (0.025, 0.975)


def mean_interval(values: npt.NDArray[np.float64], *, resamples: int, seed: int) -> tuple[float, float]:
    """Returns the bootstrap's 95 % percentile interval of the mean of `values`, one of each query."""
    generator = np.random.default_rng(seed)
    queries = len(values)
    even = np.full(queries, 1 / queries)
    means = [
        generator.multinomial(queries, even, size=min(_ROWS_PER_BLOCK, resamples - start)) @ values / queries
        for start in range(0, resamples, _ROWS_PER_BLOCK)
    ]
    low, high = np.quantile(np.concatenate(means), _TAILS)
    return float(low), float(high)
