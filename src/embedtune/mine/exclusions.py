"""What is never a negative, whatever it scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.near_duplicates import NEAR_DOCUMENT, normalise_text, same_or_near, shingles
from embedtune.data.training_set import known_relevant
from embedtune.mine.candidates import CandidateFinder, Places

__all__ = ["Exclusions", "NearDuplicates"]

_SIMILAR = 0.8
"""Documents that share four fifths of their pieces have vectors far more alike; only such pairs are read."""
_FEWEST_CHARACTERS_SHARED = 0.6
"""Texts that share four fifths of their pieces don't differ more than this in length."""


@dataclass(frozen=True)
class Exclusions:
    """Documents that a query may not have as negatives, as sorted codes: row × documents + place.

    `known` are relevant by any judgement, or have the text of a document that is. `leaked` are
    relevant only by the judgements of another split, for a query that is the same or differs in a
    word or two; `leaks` are those pairs of queries. `empty` are the places of documents without text.
    """

    known: Places
    leaked: Places
    empty: Places
    leaks: list[tuple[str, str]]
    documents: int

    @classmethod
    def of(
        cls, dataset: RetrievalDataset, query_ids: Sequence[str], split: str, place: Mapping[str, int]
    ) -> Exclusions:
        """Returns the exclusions of the queries of a split, in their order."""
        own = set(query_ids)
        elsewhere = {q for name, ids in dataset.queries_split.items() if name != split for q in ids} - own
        everything = known_relevant(dataset)
        known = everything
        leaks: list[tuple[str, str]] = []
        if elsewhere:
            judged_here = {q: documents for q, documents in dataset.relevant_docs.items() if q not in elsewhere}
            known = known_relevant(replace(dataset, relevant_docs=judged_here))
            leaks = _near_pairs(dataset, query_ids, elsewhere)
        leaked = {query_id: set(everything[query_id] - known[query_id]) for query_id in query_ids}
        for query_id, other in leaks:
            leaked[query_id] |= everything[other] - known[query_id]
        empty = [place[document_id] for document_id, text in dataset.corpus.items() if not text or text.isspace()]
        return cls(
            _codes(known, query_ids, place),
            _codes(leaked, query_ids, place),
            np.array(empty, dtype=np.int64),
            [pair for pair in leaks if everything[pair[1]] - known[pair[0]]],
            len(place),
        )

    @staticmethod
    def among(codes: Places, sorted_codes: Places) -> npt.NDArray[np.bool_]:
        """Returns which codes are in a sorted array of them; np.isin would sort the many instead of the few."""
        if not sorted_codes.size:
            return np.zeros(codes.shape, dtype=bool)
        nearest = np.searchsorted(sorted_codes, codes).clip(max=len(sorted_codes) - 1)
        found: npt.NDArray[np.bool_] = sorted_codes[nearest] == codes
        return found

    def codes(self, rows: Sequence[int], places: Places) -> Places:
        """Returns the codes of places, shape (rows, any)."""
        codes: Places = np.asarray(rows, dtype=np.int64)[:, None] * self.documents + places
        return codes


def _codes(forbidden: Mapping[str, Iterable[str]], query_ids: Sequence[str], place: Mapping[str, int]) -> Places:
    codes = [row * len(place) + place[d] for row, query_id in enumerate(query_ids) for d in forbidden[query_id]]
    return np.unique(np.array(codes, dtype=np.int64))


def _near_pairs(dataset: RetrievalDataset, query_ids: Sequence[str], elsewhere: set[str]) -> list[tuple[str, str]]:
    """Returns (query, query of another split) for queries that differ in a word or two."""
    own = set(query_ids)
    groups = same_or_near(dataset.queries, [*query_ids, *sorted(elsewhere)], "short")
    return [(one, other) for group in groups for one in group if one in own for other in group if other in elsewhere]


class NearDuplicates:
    """Says whether a document says almost the same as a positive; each text is cut into pieces once."""

    def __init__(self, dataset: RetrievalDataset, finder: CandidateFinder) -> None:
        self._corpus = dataset.corpus
        self._finder = finder
        self._pieces: dict[int, set[str]] = {}

    def among(self, places: Places, positives: Places) -> npt.NDArray[np.bool_]:
        """Returns for each pair (document, positive), both of shape (pairs,), whether they are near-duplicates."""
        found = np.zeros(len(places), dtype=bool)
        likely = np.flatnonzero(self._finder.alike(places, positives, _SIMILAR))
        for position in likely.tolist():
            found[position] = self._near(int(places[position]), int(positives[position]))
        return found

    def _near(self, place: int, positive: int) -> bool:
        one, other = self._text(place), self._text(positive)
        shorter, longer = sorted((len(one), len(other)))
        if shorter < _FEWEST_CHARACTERS_SHARED * longer:
            return False
        if normalise_text(one) == normalise_text(other):
            return True
        pieces, others = self._pieces_of(place), self._pieces_of(positive)
        return len(pieces & others) >= NEAR_DOCUMENT * len(pieces | others)

    def _text(self, place: int) -> str:
        return self._corpus[self._finder.document_ids[place]]

    def _pieces_of(self, place: int) -> set[str]:
        if place not in self._pieces:
            self._pieces[place] = shingles(self._text(place))
        return self._pieces[place]
