"""Drops near-identical queries, copies of the document, pointers to "the text above", wrong languages and lengths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from embedtune.data.checks.finding import snippet
from embedtune.data.near_duplicates import near_duplicate_groups, shingles
from embedtune.options import Options
from embedtune.synthesize.material import Drop, Judgement, Material
from embedtune.synthesize.query_faults import copied_share, length_in_words, pointing_words, wrong_language

__all__ = ["OPTIONS", "DuplicatesOptions", "judge", "needs"]

_FEWEST_WORDS_OF_A_COPY = 6


class DuplicatesOptions(Options):
    """What is too much alike, and which queries nobody would ask."""

    alike: float = Field(
        default=0.75,
        gt=0,
        le=1,
        description="Queries about one document that share this much of their pieces count as one, as equal ones "
        "always do; the first is kept.",
    )
    copied: float = Field(
        default=0.9,
        gt=0,
        description="A query of at least six words is a copy if one run of the document makes up this share of it; "
        "over 1: never.",
    )
    pointing: bool = Field(default=True, description='Drop queries that refer to "the text above" or the like.')
    same_language: Literal["off", "language", "script"] = Field(
        default="language",
        description="Drop queries in another language than their document; script also tells simplified from "
        "traditional Chinese.",
    )
    fewest_words: float = Field(
        default=2, ge=0, description="Shortest query; a Chinese character counts for half a word."
    )
    most_words: float = Field(default=100, gt=0, description="Longest query, counted the same way.")


OPTIONS = DuplicatesOptions


def needs(options: DuplicatesOptions) -> tuple[str, ...]:
    """Returns nothing: texts are enough."""
    return ()


def judge(material: Material, options: DuplicatesOptions) -> Judgement:
    """Drops what no one would ask, then of near-identical queries all but the first."""
    dropped: dict[str, Drop] = {}
    for query_id, query in material.queries.items():
        documents = [material.corpus[document_id] for document_id in material.positives(query_id)]
        fault = next(_faults(query, documents, options), None)
        if fault is not None:
            dropped[query_id] = fault
    kept = [query_id for query_id in material.queries if query_id not in dropped]
    return Judgement(dropped | _repeated(material, kept, options.alike))


def _repeated(material: Material, query_ids: list[str], alike: float) -> dict[str, Drop]:
    """Returns the queries that repeat an earlier one: its text, or nearly so about the same document.

    Nearly equal ones about different documents may ask for different things, such as two lines
    of one railway.
    """
    texts = [material.queries[query_id] for query_id in query_ids]
    dropped: dict[str, Drop] = {}
    for group in near_duplicate_groups(texts, alike, "short"):
        kept: list[int] = []
        for row in group:
            first = next((one for one in kept if _same(material, query_ids[one], query_ids[row])), None)
            if first is None:
                kept.append(row)
            else:
                reason = f"almost the same as {query_ids[first]!r} {snippet(texts[first])}"
                dropped[query_ids[row]] = Drop("near-identical", reason)
    return dropped


def _same(material: Material, one: str, other: str) -> bool:
    if shingles(material.queries[one], "short") == shingles(material.queries[other], "short"):
        return True
    return not set(material.positives(one)).isdisjoint(material.positives(other))


def _faults(query: str, documents: list[str], options: DuplicatesOptions) -> Iterator[Drop]:
    words = length_in_words(query)
    if words < options.fewest_words:
        yield Drop("too-short", f"{words:g} words, fewest {options.fewest_words:g}", words)
    if words > options.most_words:
        yield Drop("too-long", f"{words:g} words, most {options.most_words:g}", words)
    if options.pointing and (found := pointing_words(query)):
        yield Drop("points-to-text", f"refers to a text that a searcher hasn't got: {found!r}")
    for document in documents:
        if options.same_language != "off" and (
            languages := wrong_language(query, document, scripts=options.same_language == "script")
        ):
            yield Drop("wrong-language", f"the query is {languages[0]}, its document {languages[1]}")
        if options.copied <= 1 and words >= _FEWEST_WORDS_OF_A_COPY:
            share = copied_share(query, document)
            if share >= options.copied:
                yield Drop("copy", f"{share:.0%} of it stand in its document in one run", round(share, 3))
