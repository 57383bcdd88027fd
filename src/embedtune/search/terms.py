"""Text → search terms, for Chinese and for languages that put spaces between words."""

from __future__ import annotations

import re
import unicodedata

import rjieba
from bm25s.stopwords import STOPWORDS_EN

__all__ = ["terms"]

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_RUNS = re.compile(rf"[{_HAN}]+|[^\W{_HAN}]{{2,}}")
_ENGLISH_STOP_WORDS = frozenset(STOPWORDS_EN)


def terms(text: str) -> list[str]:
    """Returns the terms of a text in order: NFKC, lower case, no English stop words, no stems.

    Runs of Chinese characters are cut into words by jieba's dictionary; elsewhere a term is a
    run of at least two letters, digits or underscores.
    """
    normalised = unicodedata.normalize("NFKC", text).lower()
    found: list[str] = []
    for match in _RUNS.finditer(normalised):
        run = match.group()
        if run[0].isascii() or not re.match(f"[{_HAN}]", run):
            if run not in _ENGLISH_STOP_WORDS:
                found.append(run)
        else:
            found += rjieba.cut(run, False)
    return found
