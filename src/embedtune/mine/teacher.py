"""Something better than the encoder, that reads query and document together; see judge.py for the other one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from embedtune.search.reranking import Reranker

__all__ = ["RerankerTeacher", "Teacher"]


class Teacher(Protocol):
    """Scores pairs; what scores at least as much as a positive, and at least `least`, counts as relevant."""

    @property
    def name(self) -> str:
        """Returns what the teacher is, with its version, for the record."""

    @property
    def least(self) -> float:
        """Returns the least score that can mean relevant."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        """Returns (len(pairs),) float32; NaN where the teacher gave no answer."""


class RerankerTeacher:
    """A cross-encoder as teacher."""

    least = -np.inf

    def __init__(self, reranker: Reranker, name: str) -> None:
        self._reranker = reranker
        self.name = f"{name} ({reranker.fingerprint[:16]})"

    def score(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        """Returns the cross-encoder's scores."""
        return self._reranker.score(pairs)
