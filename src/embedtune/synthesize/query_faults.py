"""What makes a query unlike anything a person would type without the document before them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

from embedtune.data.languages import language_of
from embedtune.data.near_duplicates import normalise_text

__all__ = ["copied_share", "length_in_words", "pointing_words", "wrong_language"]

_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_WORD = re.compile("[^\\W\u3400-\u9fff\uf900-\ufaff]+")
_EITHER = "Chinese"
_HAN_OF_A_MIXED_QUERY = 2
_PART = 60
_TEXT = "text|passage|document|article|paragraph|excerpt|abstract|section|snippet|context"
_POINTING = re.compile(
    r"\b(?:(?:in|from|of|to|by|does|did|is|was|what) (?:this|the|that)(?: given| above| following| provided)? "
    rf"(?:{_TEXT})\b"
    rf"(?! (?:of|for|in|on|about|called|titled|editor|message|file|box|field|\d|[ivx]+\b))"
    rf"|(?:this|the (?:given|above|following|provided|preceding)) (?:{_TEXT})\b"
    rf"|(?:the )?(?:{_TEXT}) (?:above|below|mentions?|describes?|states?|says?|discusse[sd]|provided)\b"
    r"|(?:mentioned|described|discussed|listed|stated) (?:above|here)\b|according to the (?:author|speaker|writer)s?\b"
    r"|the authors? of (?:this|the) )",
    re.IGNORECASE,
)
_POINTING_CHINESE = re.compile(
    "上文|(?<!.{12})上述|下文|本文|该文|该段|此段|这段[话文]|这段内容|本段|(?<![英中法日德俄韩外古])文中|(?<!的)文章[中里]|这篇|该篇|原文|前文|短文"
    "|(?:根据|依据|按照|结合)(?:以上|上面|文章|文本|材料|资料|段落|文档)|以上(?:内容|文字|材料|段落|信息)|(?:文档|文本|段落|材料)(?:中|里|所)"
    "|該文|該段|這段[話文]|這段內容|這篇|該篇|文章[中裡裏]|(?:根據|依據)(?:以上|上面|文章|文本|材料|資料|段落|文件)"
    "|以上(?:內容|段落|資訊)|(?:文件|段落)(?:中|裡|裏|所)"
)


def copied_share(query: str, document: str) -> float:
    """Returns the share of the query's characters that its longest run in common with the document has."""
    one, other = normalise_text(query), normalise_text(document)
    if not one:
        return 0.0
    if one in other:
        return 1.0
    return SequenceMatcher(None, other, one, autojunk=False).find_longest_match().size / len(one)


def length_in_words(text: str) -> float:
    """Returns a query's length in words; a Chinese word has about two characters."""
    return len(_WORD.findall(text)) + len(_HAN.findall(text)) / 2


def pointing_words(query: str) -> str | None:
    """Returns the words with which a query points to a text that its reader hasn't got, or None."""
    found = _POINTING.search(query) or _POINTING_CHINESE.search(query)
    return found.group().strip() if found else None


def wrong_language(query: str, document: str, *, scripts: bool = False) -> tuple[str, str] | None:
    """Returns (the query's language, the document's) where the document has no part in the query's language.

    A query without letters, and one whose every word is in the document, such as a product's
    name in a Chinese text, has no language of its own. With `scripts`, simplified and traditional
    Chinese are two languages, where a text is clearly one of them.
    """
    asked = _languages({query}, scripts)
    if len(_HAN.findall(query)) >= _HAN_OF_A_MIXED_QUERY and "Japanese" not in asked:
        asked |= _languages({"".join(_HAN.findall(query))}, scripts)
    answered = _languages((document[i : i + _PART] for i in range(0, len(document), _PART)), scripts)
    if not asked or not answered or asked & answered or (_EITHER in asked | answered and _chinese(asked, answered)):
        return None
    words = _WORD.findall(normalise_text(query))
    if not _HAN.search(query) and words and all(word in normalise_text(document) for word in words):
        return None
    return language_of(query), language_of(document)


def _languages(texts: Iterable[str], scripts: bool) -> set[str]:
    found = {language_of(text) for text in texts} - {"no letters"}
    return found if scripts else {language.partition(" (")[0] for language in found}


def _chinese(*sides: set[str]) -> bool:
    return all(any(language.startswith(_EITHER) for language in side) for side in sides)
