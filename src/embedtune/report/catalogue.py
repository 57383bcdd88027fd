"""The page's own words, in English and in Chinese."""

from __future__ import annotations

import functools
import json
import re
import string
from collections.abc import Mapping
from importlib import resources
from typing import Any

from markupsafe import Markup

from embedtune.report.content import Words

__all__ = ["LANGUAGES", "both", "catalogue", "filled", "say"]

LANGUAGES = {"en": "en", "zh": "zh-Hans"}
"""A catalogue's name → what HTML calls the language."""


class _Formatter(string.Formatter):
    """Writes negative numbers with a minus sign, as the tables do; names keep their hyphens."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        written = super().format_field(value, format_spec)
        if isinstance(value, int | float):
            return written.replace("-", "\N{MINUS SIGN}")
        return f"{_EDGE}{written}{_EDGE}"


_FORMATTER = _Formatter()
_EDGE = "\0"
_HAN = "[\u4e00-\u9fff]"
_SPACE_BESIDE_A_NAME = re.compile(f"(?<={_HAN}{_EDGE}) (?={_HAN})|(?<={_HAN}) (?={_EDGE}{_HAN})")
"""Chinese has a space between Chinese and Latin words, and none between two Chinese ones."""


@functools.cache
def catalogue(language: str) -> Mapping[str, str]:
    """Returns key → words, of words/LANGUAGE.json."""
    text = resources.files("embedtune.report").joinpath("words", f"{language}.json").read_text(encoding="utf-8")
    words: dict[str, str] = json.loads(text)
    return words


def say(key: str, **values: object) -> Words:
    """Returns the words of a key with the values in their places; raises KeyError for an unknown key."""
    return filled(Words(*(catalogue(language)[key] for language in LANGUAGES)), **values)


def filled(words: Words, /, **values: object) -> Words:
    """Returns the words with the values in their places, formatted as str.format does."""
    texts = (_FORMATTER.vformat(text, (), values) for text in words)
    return Words(*(_SPACE_BESIDE_A_NAME.sub("", text).replace(_EDGE, "") for text in texts))


def both(words: Words) -> Markup:
    """Returns the words as HTML in both languages, of which the page shows one; text is escaped."""
    if words.en == words.zh:
        return Markup("{}").format(words.en)
    spans = [
        Markup('<span class="w {}" lang="{}">{}</span>').format(name, tag, text)
        for (name, tag), text in zip(LANGUAGES.items(), words, strict=True)
    ]
    return Markup("").join(spans)
