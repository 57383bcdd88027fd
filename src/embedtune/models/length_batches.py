"""Batches of texts of like length, longest first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["batches_by_length"]


def batches_by_length(lengths: npt.NDArray[np.int64], tokens: int, *, padded: bool) -> Iterator[list[int]]:
    """Yields positions of texts, longest first, with at most `tokens` tokens in a batch, or one text.

    With `padded` every text counts as much as the longest of its batch.
    """
    batch: list[int] = []
    size = 0
    for position in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[position])
        grown = int(lengths[batch[0]]) * (len(batch) + 1) if padded and batch else size + length
        if batch and grown > tokens:
            yield batch
            batch, size = [], 0
        batch.append(position)
        size += length
    if batch:
        yield batch
