"""Vectors that are read from a vector store when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from embedtune.models.encoder import Vectors

__all__ = ["FetchedVectors"]

Places = npt.NDArray[np.int64]


class FetchedVectors:
    """Looks like an array (documents, dim); `read` gives the vectors of document ids, in their order.

    What was read stays in memory. Not to be asked for new rows by several threads at once.
    """

    def __init__(self, document_ids: Sequence[str], dim: int, read: Callable[[list[str]], Vectors]) -> None:
        self.shape = (len(document_ids), dim)
        self._document_ids = document_ids
        self._read = read
        self._kept = np.empty((0, dim), dtype=np.float32)
        self._place = np.full(len(document_ids), -1, dtype=np.int64)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Places) -> Vectors:
        self.load(rows)
        return self._kept[self._place[rows]]

    def load(self, rows: Places) -> None:
        """Reads what hasn't been read yet of these rows."""
        new = np.unique(rows)
        new = new[self._place[new] < 0]
        if len(new):
            fresh = self._read([self._document_ids[row] for row in new.tolist()])
            self._place[new] = np.arange(len(self._kept), len(self._kept) + len(new))
            self._kept = np.concatenate([self._kept, fresh])
