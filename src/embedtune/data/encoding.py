"""Finds texts whose bytes were read in the wrong encoding, and reads them again where possible."""

from __future__ import annotations

import re
from typing import NamedTuple

import ftfy

__all__ = ["Misreading", "find_misreading"]

_SAMPLE_CHARACTERS = 300
_LOST = "\ufffd"
_LOST_SHARE = 0.02
_LOST_COUNT = 3
_SURROGATE = re.compile("[\ud800-\udfff]")
_HAN = re.compile("[\u3400-\u9fff]")
_UTF8_AS_LATIN_1 = re.compile("[\xc2-\xf4][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")
_GBK_AS_LATIN_1 = re.compile("(?:[\xb0-\xf7][\xa1-\xfe]){3}")
_HAN_IN_UTF8 = re.compile(rb"(?:[\xe3-\xe9][\x80-\xbf]{2}|\xef[\xbc\xbd][\x80-\xbf])+")
_HAN_BYTES = 9
_HAN_SHARE = 0.4
"""Chinese read rightly: at most 0.25 on the Chinese test collections; UTF-8 read as GBK: 0.38 to 1, 99 % over 0.69."""


class Misreading(NamedTuple):
    """What went wrong, and the text read rightly; None where its bytes are lost."""

    what: str
    repaired: str | None


def find_misreading(text: str) -> Misreading | None:
    """Returns how a text was misread, or None where nothing looks wrong.

    A text with a few replacement characters (U+FFFD) isn't misread: it lost some characters.
    """
    if _SURROGATE.search(text):
        return Misreading("half of a surrogate pair", None)
    lost = text.count(_LOST)
    if lost >= _LOST_COUNT and lost >= _LOST_SHARE * len(text):
        return Misreading("GBK or another encoding read as UTF-8", None)
    repaired = ftfy.fix_encoding(text) if _UTF8_AS_LATIN_1.search(text) else text
    if _GBK_AS_LATIN_1.search(text) and 2 * _count_high(repaired) > _count_high(text):
        # Chinese in UTF-8 looks like GBK too, but read as UTF-8 no Latin-1 is left of it
        return Misreading("GBK read as Latin-1", _read_again(text, "latin-1", "gb18030"))
    if repaired != text:
        return Misreading("UTF-8 read as Latin-1", _unless_lossy(repaired))
    if _HAN.search(text) and _is_utf8_read_as_gbk(text[:_SAMPLE_CHARACTERS]):
        return Misreading("UTF-8 read as GBK", _read_again(text, "gb18030", "utf-8"))
    return None


def _is_utf8_read_as_gbk(text: str) -> bool:
    """Says whether the text's GBK bytes are, for a large part, Chinese in UTF-8."""
    raw = text.encode("gb18030", "ignore")
    beyond_ascii = len(raw) - len(raw.decode("ascii", "ignore"))
    han = sum(len(run) for run in _HAN_IN_UTF8.findall(raw))
    return han >= _HAN_BYTES and han >= _HAN_SHARE * beyond_ascii


def _count_high(text: str) -> int:
    return sum("\x80" <= character <= "\xff" for character in text)


def _read_again(text: str, wrong: str, right: str) -> str | None:
    try:
        return _unless_lossy(text.encode(wrong).decode(right))
    except UnicodeError:
        return None


def _unless_lossy(text: str) -> str | None:
    return None if _LOST in text else text
