"""Key phrases of a document: YAKE where words are spaced, TF-IDF over segmented words in Chinese.

YAKE: Campos et al., Information Sciences 509, 2020 (https://doi.org/10.1016/j.ins.2019.09.013); it looks at
one document alone. The words of a Chinese text are weighed by how often they are in it and how few other
documents have them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from embedtune.data.languages import language_of
from embedtune.errors import MissingPackageError
from embedtune.search.terms import terms
from embedtune.synthesize.function_words import is_function_word

__all__ = ["KeyPhrases"]

_LONGEST_PHRASE = 2
_MOST_ALIKE = 0.7


class KeyPhrases:
    """Finds the key phrases of any of the documents given."""

    def __init__(self, documents: Mapping[str, str]) -> None:
        self._documents = documents

    def of(self, text: str, count: int) -> list[str]:
        """Returns up to `count` phrases, the most telling first; raises MissingPackageError without YAKE."""
        if language_of(text).startswith("Chinese"):
            return self._chinese(text, count)
        found = self._extractor.extract_keywords(text)
        return [phrase for phrase, _ in found[:count]]

    def _chinese(self, text: str, count: int) -> list[str]:
        in_text = Counter(word for word in terms(text) if len(word) > 1 and not is_function_word(word))
        total = len(self._documents)
        weight = {
            word: times * math.log((total + 1) / max(1, self._documents_with[word])) for word, times in in_text.items()
        }
        return sorted(weight, key=lambda word: (-weight[word], word))[:count]

    @cached_property
    def _documents_with(self) -> Counter[str]:
        """Word → in how many of the documents it is."""
        return Counter(word for text in self._documents.values() for word in set(terms(text)))

    @cached_property
    def _extractor(self) -> Any:
        try:
            from yake import KeywordExtractor
        except ModuleNotFoundError:
            raise MissingPackageError(
                "key-phrase queries need the package 'yake', which isn't installed",
                remedy="pip install 'embedtune[rules]', or leave the kind keywords out",
            ) from None
        return KeywordExtractor(lan="en", n=_LONGEST_PHRASE, dedup_lim=_MOST_ALIKE, top=20)
