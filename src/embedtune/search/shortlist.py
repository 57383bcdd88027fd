"""The documents that could still be among the best of some queries, kept few while blocks go by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from embedtune.models.encoder import Vectors
from embedtune.search.coarse_pass import GROUP, CoarseVectors, products, slack
from embedtune.search.rescoring import FetchVectors, Places, best_first, exact_scores, sortable

__all__ = ["Shortlist"]

_MARGIN = np.float32(1e-6)
_SPARE = 4
_LEAST_KEPT = 4_000_000


class Shortlist:
    """Candidates of one block of queries, after any number of blocks of documents.

    `floor` is for each query a score that at least `top_k` documents reach; who can't reach it
    is dropped. Where more candidates than fit stay, as with thousands of copies, they are
    scored exactly and only the best `top_k` are kept, so memory is bounded.
    """

    def __init__(
        self,
        queries: Vectors,
        coarse: CoarseVectors,
        top_k: int,
        fetch: FetchVectors,
        document_ids: Sequence[str],
    ) -> None:
        self._queries = queries
        self._coarse = coarse
        self._top_k = top_k
        self._fetch = fetch
        self._document_ids = document_ids
        self._floor = np.full(len(queries), -np.inf, dtype=np.float32)
        self._owners = np.empty(0, dtype=np.int64)
        self._rows = np.empty(0, dtype=np.int64)
        self._lower = np.empty(0, dtype=np.float32)
        self._upper = np.empty(0, dtype=np.float32)
        self._waiting: list[tuple[Places, Places, Vectors, Vectors]] = []
        self._limit = max(_SPARE * top_k * len(queries), _LEAST_KEPT)
        self._count = 0
        self._blocks = 0

    def scan(self, block: CoarseVectors, first_row: int) -> None:
        """Takes the candidates among documents `first_row` and on; blocks come in order."""
        tile = products(self._coarse, block)
        bound, share = slack(self._coarse, block)
        groups = tile.view(len(tile), GROUP, -1)
        peaks = groups.amax(dim=1).float().numpy()
        if self._blocks == 0 and len(block) >= self._top_k:
            enough = min(len(block), peaks.shape[1]) >= self._top_k
            self._floor = _kth(peaks if enough else tile.float().numpy(), self._top_k)
            self._floor -= bound + share * np.abs(self._floor) + _MARGIN * np.abs(self._floor)
        reach = self._floor - bound
        reach = np.where(reach >= 0, reach / (1 + share), reach / (1 - share))
        reach -= _MARGIN * np.abs(reach)
        owners, group = np.divmod(np.flatnonzero(peaks >= reach[:, None]), peaks.shape[1])
        values = groups[torch.from_numpy(owners), :, torch.from_numpy(group)].float().numpy()
        hit, member = np.nonzero((values >= reach[owners][:, None]) & (values > -np.inf))
        owners, found = owners[hit], values[hit, member]
        doubt = bound[owners] + share * np.abs(found)
        rows = first_row + member * peaks.shape[1] + group[hit]
        self._waiting.append((owners, rows, found - doubt, found + doubt))
        self._count += len(rows)
        self._blocks += 1
        if self._blocks & (self._blocks - 1) == 0 or self._count > self._limit:
            self._tighten()
            if self._count > self._limit:
                self._settle()

    def finish(self) -> tuple[Places, Vectors]:
        """Returns rows and scores of the best, (queries, top_k) each, in the order of Run."""
        self._tighten()
        self._settle()
        shape = (len(self._queries), self._top_k)
        return self._rows.reshape(shape), self._lower.reshape(shape)

    def _tighten(self) -> None:
        """Raises the floor to what is known now and drops who can't reach it."""
        self._gather()
        counts = np.bincount(self._owners, minlength=len(self._queries))
        full = np.flatnonzero(counts >= self._top_k)
        keys = (self._owners.astype(np.uint64) << np.uint64(32)) | (~sortable(self._lower)).astype(np.uint64)
        keys.sort()
        kth = keys[(np.cumsum(counts) - counts)[full] + self._top_k - 1]
        floor = _from_sortable(~kth.astype(np.uint32))
        self._floor[full] = np.maximum(self._floor[full], floor)
        self._keep(np.flatnonzero(self._upper >= self._floor[self._owners]))

    def _settle(self) -> None:
        """Scores the candidates exactly and keeps the best `top_k` of each query, sorted."""
        self._keep(np.argsort(self._owners, kind="stable"))
        self._lower = self._upper = exact_scores(self._fetch, self._queries, self._owners, self._rows)
        self._keep(best_first(self._owners, self._rows, self._lower, self._document_ids, self._top_k))

    def _gather(self) -> None:
        parts = [(self._owners, self._rows, self._lower, self._upper), *self._waiting]
        self._owners, self._rows, self._lower, self._upper = (np.concatenate(part) for part in zip(*parts, strict=True))
        self._waiting = []

    def _keep(self, places: npt.NDArray[np.int64]) -> None:
        self._owners, self._rows = self._owners[places], self._rows[places]
        self._lower, self._upper = self._lower[places], self._upper[places]
        self._count = len(places)


def _kth(values: Vectors, top_k: int) -> Vectors:
    """Returns the `top_k`-th largest of each row."""
    place = values.shape[1] - top_k
    kth: Vectors = np.partition(values, place, axis=1)[:, place]
    return kth


def _from_sortable(keys: npt.NDArray[np.uint32]) -> Vectors:
    """Returns the floats that `sortable` made the integers from."""
    sign = np.uint32(0x80000000)
    return np.where(keys & sign, keys ^ sign, ~keys).view(np.float32)
