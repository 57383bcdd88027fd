"""A run: for each query its documents, best first; read and written in TREC's format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from embedtune.errors import DataError

__all__ = ["RankedDocument", "RowRankings", "Run", "rank_top"]


class RankedDocument(NamedTuple):
    """One document of a ranked list and its score (higher is better)."""

    document_id: str
    score: float


class RowRankings(Mapping[str, Sequence[RankedDocument]]):
    """Ranked lists as rows of one corpus: `rows` and `scores` are (queries, found), best first.

    A query's list is made when it is asked for, so a large run costs its two arrays. A row of -1
    stands for nothing found.
    """

    def __init__(
        self,
        query_ids: Sequence[str],
        document_ids: Sequence[str],
        rows: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float32],
    ) -> None:
        self.document_ids = document_ids
        self.rows = rows
        self.scores = scores
        self.place_of_query = {query_id: place for place, query_id in enumerate(query_ids)}

    def __getitem__(self, query_id: str) -> Sequence[RankedDocument]:
        place = self.place_of_query[query_id]
        found = zip(self.rows[place].tolist(), self.scores[place].tolist(), strict=True)
        return [RankedDocument(self.document_ids[row], score) for row, score in found if row >= 0]

    def __iter__(self) -> Iterator[str]:
        return iter(self.place_of_query)

    def __len__(self) -> int:
        return len(self.place_of_query)

    @cached_property
    def row_of_document(self) -> Mapping[str, int]:
        """Returns document id → row."""
        return {document_id: row for row, document_id in enumerate(self.document_ids)}


@dataclass(frozen=True)
class Run:
    """Ranked lists by query id.

    Documents are ordered by score as float32, higher first; equal scores by document id,
    later first in code-point order. That is trec_eval's rule, so a run scores the same when
    other tools read its file.
    """

    rankings: Mapping[str, Sequence[RankedDocument]]

    @classmethod
    def from_scores(cls, scores: Mapping[str, Mapping[str, float]]) -> Run:
        """Returns the run of query id → document id → score."""
        return cls({query_id: rank(documents) for query_id, documents in scores.items()})

    def document_ids(self, query_id: str) -> list[str]:
        """Returns a query's documents, best first; empty where the run lacks the query."""
        return [document.document_id for document in self.rankings.get(query_id, ())]

    def to_trec(self, tag: str) -> str:
        """Returns the run as TREC lines: query id, Q0, document id, rank, score, tag."""
        lines = [
            f"{query_id} Q0 {document.document_id} {place} {document.score!r} {tag}\n"
            for query_id, documents in self.rankings.items()
            for place, document in enumerate(documents, start=1)
        ]
        return "".join(lines)

    @classmethod
    def read_trec(cls, path: Path) -> Run:
        """Returns the run in a TREC file; ids with spaces are read back from the line's ends."""
        scores: dict[str, dict[str, float]] = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").rstrip("\n").split("\n"), start=1):
            try:
                head, document_and_rank = line.split(" Q0 ", 1)
                document_id, _, score, _ = document_and_rank.rsplit(" ", 3)
                scores.setdefault(head, {})[document_id] = float(score)
            except ValueError:
                raise DataError(
                    f"expected 'query Q0 document rank score tag', found {line[:80]!r}", where=f"{path}:{number}"
                ) from None
        return cls.from_scores(scores)


def rank(scores: Mapping[str, float]) -> list[RankedDocument]:
    """Returns documents in the order of Run, scores rounded to float32."""
    rounded = [RankedDocument(document_id, float(np.float32(score))) for document_id, score in scores.items()]
    rounded.sort(key=lambda document: document.document_id, reverse=True)
    rounded.sort(key=lambda document: -document.score)
    return rounded


def rank_top(
    scores: npt.NDArray[np.float32], document_ids: Sequence[str], top_k: int, *, above: float | None = None
) -> list[RankedDocument]:
    """Returns the `top_k` best of one query's scores, shape (number of documents,).

    Ties at the border are settled by document id as in Run. With `above`, only scores over it.
    """
    if top_k < len(scores):
        border = np.partition(scores, len(scores) - top_k)[len(scores) - top_k]
        places = np.flatnonzero(scores >= border)
    else:
        places = np.arange(len(scores))
    if above is not None:
        places = places[scores[places] > above]
    return rank({document_ids[i]: float(scores[i]) for i in places.tolist()})[:top_k]
