"""Why a query failed: labels that say where to look first, from texts and ranks alone.

They are hints for a reader, not judgements; docs/report.md says how each one is found.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from embedtune.data.languages import language_of
from embedtune.data.near_duplicates import NEAR_DOCUMENT, normalise_text, shingles
from embedtune.search.terms import terms

__all__ = ["CAUSES", "Asked", "Cause", "CauseFinder", "Miss", "kept_by", "misses"]

Cause = Literal["cut", "false-negative", "near-duplicate", "language", "lexical"]
CAUSES: tuple[Cause, ...] = get_args(Cause)
"""In the order in which they are looked at and shown."""

_LOOKED_AT = 3
_FULLY_COVERED = 0.8
_HARDLY_COVERED = 1 / 3
_FEWEST_TERMS = 3
_SHORTEST_ANSWER = 4
_PIECES, _PIECE, _SHARED_PIECES = 10, 12, 0.2
_KEPT_DOCUMENTS = 20_000


class Asked(NamedTuple):
    """A query, the documents relevant to it, and its reference answer, "" where there is none."""

    text: str
    relevant: Collection[str]
    answer: str = ""


class Miss(NamedTuple):
    """A relevant document that isn't where it should be, and what isn't relevant but stands above it, best first."""

    document_id: str
    above: tuple[str, ...]


def misses(ranking: Sequence[str], relevant: Collection[str]) -> list[Miss]:
    """Returns the relevant documents that have something irrelevant above them; those not in the ranking come last."""
    wrong: list[str] = []
    found: list[Miss] = []
    for document_id in ranking:
        if document_id not in relevant:
            wrong.append(document_id)
        elif wrong:
            found.append(Miss(document_id, tuple(wrong)))
    missing = [document_id for document_id in relevant if document_id not in ranking]
    return found + [Miss(document_id, tuple(wrong)) for document_id in missing if wrong]


class CauseFinder:
    """Labels what went wrong with queries over one corpus.

    `kept` returns the part of a document that the encoder reads; None where nothing is cut.
    """

    def __init__(self, corpus: Mapping[str, str], kept: Callable[[str], str] | None = None) -> None:
        self._corpus = corpus
        self._kept = kept
        self._terms = lru_cache(_KEPT_DOCUMENTS)(self._terms_of)
        self._kept_terms = lru_cache(_KEPT_DOCUMENTS)(self._terms_read)
        self._normalised = lru_cache(_KEPT_DOCUMENTS)(lambda document_id: normalise_text(corpus[document_id]))
        self._shingles = lru_cache(_KEPT_DOCUMENTS)(self._shingles_of)

    def causes(self, asked: Asked, ranking: Sequence[str], agreed: Collection[str] | None = None) -> tuple[Cause, ...]:
        """Returns the causes that apply, in the order of CAUSES; none where nothing irrelevant is above a relevant one.

        `agreed` are the documents that other systems found for the query too: only they can be likely
        false negatives. None trusts this ranking alone.
        """
        missed = misses(ranking, asked.relevant)
        query = frozenset(terms(asked.text))
        rules: dict[Cause, Callable[[Miss], bool]] = {
            "cut": lambda miss: self._is_cut(query, asked, miss),
            "false-negative": lambda miss: self._hides_a_positive(query, asked, miss, agreed),
            "near-duplicate": self._is_under_its_copy,
            "language": lambda miss: self._is_of_another_language(asked, miss),
            "lexical": lambda miss: self._shares_few_terms(query, miss),
        }
        return tuple(cause for cause, holds in rules.items() if any(holds(miss) for miss in missed))

    def _is_cut(self, query: frozenset[str], asked: Asked, miss: Miss) -> bool:
        """Something that the query asks for stands only in the part of the relevant document that isn't read."""
        text = self._corpus[miss.document_id]
        if self._kept is None or len(self._kept(text)) >= len(text):
            return False
        if _says_something(asked.answer) and _contains(text, asked.answer):
            return not _contains(self._kept(text), asked.answer)
        return bool(query & self._terms(miss.document_id) - self._kept_terms(miss.document_id))

    def _hides_a_positive(
        self, query: frozenset[str], asked: Asked, miss: Miss, agreed: Collection[str] | None
    ) -> bool:
        """A document above has the reference answer, or nearly all of the query's terms."""
        candidates = [document_id for document_id in miss.above[:_LOOKED_AT] if agreed is None or document_id in agreed]
        if _says_something(asked.answer) and not _contains(asked.text, asked.answer):
            return any(_contains(self._corpus[document_id], asked.answer) for document_id in candidates)
        if len(query) < _FEWEST_TERMS:
            return False
        least = max(_FULLY_COVERED, self._covered(query, miss.document_id))
        return any(self._covered(query, document_id) >= least for document_id in candidates)

    def _is_under_its_copy(self, miss: Miss) -> bool:
        """A document above says almost the same as the relevant one."""
        return any(self._similar(miss.document_id, document_id) for document_id in miss.above)

    def _is_of_another_language(self, asked: Asked, miss: Miss) -> bool:
        """The relevant document, or the first one above it, is in another language than the query."""
        wanted = language_of(asked.text)
        texts = (self._corpus[document_id] for document_id in (miss.document_id, miss.above[0]))
        return any(_differ(wanted, language_of(text)) for text in texts)

    def _shares_few_terms(self, query: frozenset[str], miss: Miss) -> bool:
        """The relevant document has few of the query's terms, the first one above it has more."""
        covered = self._covered(query, miss.document_id)
        return covered < _HARDLY_COVERED and covered < self._covered(query, miss.above[0])

    def _covered(self, query: frozenset[str], document_id: str) -> float:
        return len(query & self._terms(document_id)) / max(1, len(query))

    def _similar(self, one: str, other: str) -> bool:
        if not _may_be_near(self._normalised(one), self._normalised(other)):
            return False
        a, b = self._shingles(one), self._shingles(other)
        return len(a & b) >= NEAR_DOCUMENT * len(a | b)

    def _terms_of(self, document_id: str) -> frozenset[str]:
        return frozenset(terms(self._corpus[document_id]))

    def _terms_read(self, document_id: str) -> frozenset[str]:
        text = self._corpus[document_id]
        return frozenset(terms(text if self._kept is None else self._kept(text)))

    def _shingles_of(self, document_id: str) -> frozenset[str]:
        return frozenset(shingles(self._corpus[document_id]))


def kept_by(count_tokens: Callable[[list[str]], list[int]], max_tokens: int) -> Callable[[str], str]:
    """Returns what cuts a text to its longest beginning of at most `max_tokens` tokens; remembers what it cut."""

    @lru_cache(_KEPT_DOCUMENTS)
    def kept(text: str) -> str:
        if count_tokens([text])[0] <= max_tokens:
            return text
        low, high = 0, len(text)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if count_tokens([text[:middle]])[0] <= max_tokens else (low, middle)
        return text[:low]

    return kept


def _may_be_near(one: str, other: str) -> bool:
    """Returns whether two texts are near enough in length and share some of a few pieces, which is soon seen."""
    short, long = sorted((one, other), key=len)
    if len(short) < NEAR_DOCUMENT / 2 * len(long):
        return False
    step = max(1, len(short) // _PIECES)
    pieces = [short[start : start + _PIECE] for start in range(0, len(short), step)]
    return sum(piece in long for piece in pieces) >= _SHARED_PIECES * len(pieces)


def _says_something(answer: str) -> bool:
    """A short answer, such as "no" or "12", is in too many documents; a Chinese character counts as two letters."""
    return sum(2 if ord(character) > 0x2E7F else 1 for character in answer.strip()) >= _SHORTEST_ANSWER


def _contains(text: str, answer: str) -> bool:
    return normalise_text(answer) in normalise_text(text)


def _differ(one: str, other: str) -> bool:
    """Chinese that could be either kind, and texts without letters, differ from nothing."""
    languages = {one, other}
    if "no letters" in languages or one == other:
        return False
    return not ("Chinese" in languages and all(language.startswith("Chinese") for language in languages))
