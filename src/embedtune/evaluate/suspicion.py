"""How much a negative looks like a relevant document, by vectors alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from embedtune.models.encoder import Vectors

__all__ = ["BACKGROUND_DOCUMENTS", "suspicion", "suspicion_features"]

BACKGROUND_DOCUMENTS = 500
_NEAREST = 5
_BEST_POSITIVES = 3
_SAME = 0.99999
_WEIGHTS = (0.272, 0.875, 0.321)
_BASE = 1.127
"""A logistic regression on known positives that were hidden among the first 100 documents of their query, both
classes weighing the same: train and val queries of five English collections, all-MiniLM-L6-v2
(benchmarks/false_negatives.py --fit)."""

Floats = npt.NDArray[np.float64]


def suspicion(query: npt.NDArray[np.float32], positives: Vectors, negatives: Vectors, background: Vectors) -> Floats:
    """Returns a score for each negative, shape (negatives,); over 0 a hidden positive is likelier than not."""
    score: Floats = suspicion_features(query, positives, negatives, background) @ np.array(_WEIGHTS) + _BASE
    return score


def suspicion_features(
    query: npt.NDArray[np.float32], positives: Vectors, negatives: Vectors, background: Vectors
) -> Floats:
    """Returns (negatives, 3): likeness to the query, to the likest positive, and to the three likest on average.

    Likeness is cross-domain similarity local scaling, Conneau et al. 2018 (https://arxiv.org/abs/1710.04087), equation
    3: 2 · cosine less what either has on average with its nearest neighbours, here five of the
    `background`, random documents of the corpus. It is given in standard deviations of the cosines
    among the background, so that it means the same for encoders whose scores lie close together.
    """
    sides = np.vstack([query[None, :], positives])
    near = _neighbourhood(negatives, background)[:, None] + _neighbourhood(sides, background)[None, :]
    likeness = (2 * negatives @ sides.T - near) / max(float((background @ background.T).std()), 1e-9)
    to_positives = np.sort(likeness[:, 1:], axis=1)
    means = to_positives[:, -_BEST_POSITIVES:].mean(axis=1)
    return np.stack([likeness[:, 0], to_positives[:, -1], means], axis=1).astype(np.float64)


def _neighbourhood(vectors: Vectors, background: Vectors) -> npt.NDArray[np.float32]:
    """Returns the mean inner product of each vector with its five nearest in the background, itself left out."""
    products = vectors @ background.T
    products[products > _SAME] = -1.0
    nearest = min(_NEAREST, len(background))
    result: npt.NDArray[np.float32] = np.partition(products, -nearest, axis=1)[:, -nearest:].mean(axis=1)
    return result
