"""What chance does to a mean: bootstrap quantiles, and random flips of sign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Sample", "bootstrap_quantiles", "randomisation_p"]

_ROWS_PER_BLOCK = 1000
_EQUAL = 1e-12

Sample = npt.NDArray[np.float64]


def bootstrap_quantiles(deltas: Sample, quantiles: Sequence[float], resamples: int, seed: int) -> Sample:
    """Returns (quantiles, measures): where the means of resampled rows of deltas, (queries, measures), lie."""
    generator = np.random.default_rng(seed)
    queries = len(deltas)
    means = [
        generator.multinomial(queries, np.full(queries, 1 / queries), size=rows) @ deltas / queries
        for rows in _blocks(resamples)
    ]
    return np.asarray(np.quantile(np.concatenate(means), quantiles, axis=0))


def randomisation_p(deltas: Sample, resamples: int, seed: int) -> Sample:
    """Returns (measures,): how often flipping signs at random moves the mean as far as it is."""
    generator = np.random.default_rng(seed)
    observed = np.abs(deltas.sum(axis=0)) - _EQUAL
    extreme = np.zeros(deltas.shape[1])
    for rows in _blocks(resamples):
        signs = generator.integers(0, 2, size=(rows, len(deltas))) * 2.0 - 1.0
        extreme += (np.abs(signs @ deltas) >= observed).sum(axis=0)
    return np.asarray((1 + extreme) / (1 + resamples))


def _blocks(total: int) -> Iterator[int]:
    for start in range(0, total, _ROWS_PER_BLOCK):
        yield min(_ROWS_PER_BLOCK, total - start)
