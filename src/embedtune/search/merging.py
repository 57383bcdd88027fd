"""Results of searches over parts of a corpus → those of one search over all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from embedtune.search.rescoring import best_first
from embedtune.search.vector_index import FoundRows

__all__ = ["merge_found"]


def merge_found(parts: Sequence[FoundRows], document_ids: Mapping[int, str] | Sequence[str], top_k: int) -> FoundRows:
    """Returns the `top_k` best of what was found in parts that share no row, in the order of Run.

    Where each part is exact so is the whole: who is among the best of all is among the best of its part.
    `document_ids` gives the ids of the rows found, which settle ties.
    """
    rows = np.concatenate([part.rows for part in parts], axis=1)
    scores = np.concatenate([part.scores for part in parts], axis=1)
    owners = np.repeat(np.arange(len(rows), dtype=np.int64), rows.shape[1])
    width = min(top_k, rows.shape[1])
    best = best_first(owners, rows.ravel(), scores.ravel(), document_ids, top_k).reshape(len(rows), width)
    return FoundRows(rows.ravel()[best], scores.ravel()[best])
