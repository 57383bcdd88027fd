"""Says in which script a text is written; Simplified and Traditional Chinese are told apart."""

from __future__ import annotations

import functools
import re

__all__ = ["language_of"]

_SAMPLE_CHARACTERS = 300
_LETTERS_PER_HAN = 3
"""A Chinese word has about two characters, an English one five letters: product names don't turn a text English."""

_SCRIPTS = {
    "Han": re.compile("[\u3400-\u9fff\uf900-\ufaff]"),
    "Japanese": re.compile("[\u3041-\u30fa\u30fc-\u30ff]"),
    "Korean": re.compile("[\uac00-\ud7a3\u1100-\u11ff]"),
    "Latin script": re.compile("[A-Za-z\u00c0-\u024f]"),
    "Cyrillic script": re.compile("[\u0400-\u04ff]"),
    "Arabic script": re.compile("[\u0600-\u06ff]"),
    "Greek script": re.compile("[\u0370-\u03ff]"),
    "Hebrew script": re.compile("[\u0590-\u05ff]"),
    "Devanagari script": re.compile("[\u0900-\u097f]"),
    "Thai script": re.compile("[\u0e00-\u0e7f]"),
}
_KANA_SHARE = 0.1


def language_of(text: str) -> str:
    """Returns the language, or the script where many languages share it, judged from the text's beginning.

    Chinese without a character that is only simplified or only traditional is "Chinese".
    """
    sample = text[:_SAMPLE_CHARACTERS]
    counts = {name: len(pattern.findall(sample)) for name, pattern in _SCRIPTS.items()}
    han, kana = counts.pop("Han"), counts.pop("Japanese")
    other, count = max(counts.items(), key=lambda item: item[1])
    if kana > _KANA_SHARE * (han + kana):
        return "Japanese"
    if not han and not count:
        return "no letters"
    if other == "Korean":
        return "Korean" if count else _chinese(sample)
    return _chinese(sample) if han * _LETTERS_PER_HAN > count else other


def _chinese(text: str) -> str:
    simplified, traditional = (len(characters.intersection(text)) for characters in _one_sided_characters())
    if simplified == traditional:
        return "Chinese"
    return "Chinese (simplified)" if simplified > traditional else "Chinese (traditional)"


@functools.cache
def _one_sided_characters() -> tuple[frozenset[str], frozenset[str]]:
    """Returns the characters only GB2312 has (simplified) and those only Big5 has (traditional)."""
    han = [chr(code) for code in range(0x4E00, 0x9FFF)]
    simplified = {character for character in han if character.encode("gb2312", "ignore")}
    traditional = {character for character in han if character.encode("big5", "ignore")}
    return frozenset(simplified - traditional), frozenset(traditional - simplified)
