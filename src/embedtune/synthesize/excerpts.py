"""Cuts queries out of a document's sentences, and takes words away so that they are no copies."""

from __future__ import annotations

import random
import re

import rjieba

from embedtune.data.languages import language_of
from embedtune.data.near_duplicates import normalise_text
from embedtune.synthesize.function_words import is_function_word

__all__ = ["crop", "stands_in", "telegraphic", "words_of"]

_CLAUSE = re.compile(r"[^，、：；,;:()（）]+(?:[，、：；,;:()（）]+\s*|$)")
_FEWEST_TO_SPARE_ONE = 2
_AT_THE_ENDS = " ，、：；。！？,;:.!?…()（）"


def crop(sentence: str, fewest_words: int, most_words: int, generator: random.Random | None = None) -> str:
    """Returns a run of the sentence's clauses of `fewest_words` to `most_words` words; "" where it is too short.

    The run begins at the first clause, or with a generator at any that leaves enough words, and a
    clause that is too long is cut.
    """
    clauses = [words_of(clause) for clause in _CLAUSE.findall(sentence)]
    starts = [i for i in range(len(clauses)) if sum(map(len, clauses[i:])) >= fewest_words]
    if not starts:
        return ""
    chosen: list[str] = []
    for clause in clauses[generator.choice(starts) if generator else 0 :]:
        if len(chosen) >= fewest_words and len(chosen) + len(clause) > most_words:
            break
        chosen += clause
    return "".join(chosen[:most_words]).strip(_AT_THE_ENDS)


def telegraphic(text: str, share: float, generator: random.Random) -> str:
    """Returns the text as people type into a search box: without function words, and each other word less likely.

    `share` of the other words, drawn at random, go too: at least one of three or more, where nothing
    else went, and never all.
    """
    words = words_of(text)
    telling = [word for word in words if not is_function_word(word.strip(_AT_THE_ENDS))] or words[:1]
    kept = [word for word in telling if generator.random() >= share] or telling[:1]
    if len(kept) == len(words) > _FEWEST_TO_SPARE_ONE:
        kept.pop(generator.randrange(1, len(kept) - 1))
    return " ".join("".join(kept).split()).strip(_AT_THE_ENDS)


def stands_in(query: str, document: str) -> bool:
    """Says whether the query is in the document word for word, whatever the case, width and blanks."""
    return normalise_text(query) in normalise_text(document)


def words_of(text: str) -> list[str]:
    """Returns a text's words, each with the blanks after it, so that joining them gives the text back."""
    if language_of(text).startswith("Chinese"):
        return list(rjieba.cut(text, False))
    return re.findall(r"\S+\s*", text)
