"""How much a negative looks like a relevant document, by vectors alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from embedtune.models.encoder import Vectors

__all__ = ["BACKGROUND_DOCUMENTS", "standardised", "suspicion"]

BACKGROUND_DOCUMENTS = 200
_BY_QUERY = 0.228
_BY_POSITIVE = 1.215
_BASE = -4.07
"""A logistic regression on known positives that were hidden among the first 100 documents of their query, both
classes weighing the same: train and val queries of five English collections, all-MiniLM-L6-v2
(benchmarks/false_negatives.py)."""


def suspicion(
    query: npt.NDArray[np.float32], positives: Vectors, negatives: Vectors, background: Vectors
) -> npt.NDArray[np.float64]:
    """Returns a score for each negative, shape (negatives,); over 0 a hidden positive is likelier than not.

    Two scores agree: the negative's with the query, and its best with a known positive, both in
    standard deviations above those of the `background`, random documents of the corpus. Known
    positives say more than the query: documents that answer one question are alike.
    """
    by_query = standardised(negatives @ query, background @ query)
    by_positive = standardised(negatives @ positives.T, background @ positives.T).max(axis=1)
    score: npt.NDArray[np.float64] = _BY_QUERY * by_query + _BY_POSITIVE * by_positive + _BASE
    return score


def standardised(scores: npt.NDArray[np.float32], background: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Returns scores in standard deviations above the background's mean; one column a query or positive."""
    spread = np.maximum(background.std(axis=0, dtype=np.float64), 1e-9)
    result: npt.NDArray[np.float64] = (scores - background.mean(axis=0, dtype=np.float64)) / spread
    return result
