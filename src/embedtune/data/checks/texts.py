"""Texts that were damaged before they got here."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from embedtune.data.checks.finding import Finding, Level, counted, finding, snippet
from embedtune.data.checks.view import DatasetView
from embedtune.data.encoding import Misreading, find_misreading

__all__ = ["check_texts"]

_ERROR_SHARE = 0.01
"""Where so many texts are misread the whole file was; a few are the source's own."""

_MARKUP = re.compile(
    r"</?(?:p|br|div|span|a|b|i|em|strong|td|tr|li|ul|table|img|sup|sub)\b[^<>]{0,200}>"
    r"|&(?:nbsp|amp|lt|gt|quot|#\d{2,5});"
)
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SIGNS_AROUND = 24

_MARKS: dict[str, tuple[Level, str, str]] = {
    "lost-characters": ("warning", "lost some of its characters (U+FFFD)", "lost some of their characters (U+FFFD)"),
    "markup": ("warning", "has HTML left in it", "have HTML left in them"),
    "invisible-characters": ("note", "has control or zero-width characters", "have control or zero-width characters"),
}
"""Code → level, and what is said of one text and of many."""


Place = tuple[str, str]
"""Field and id: a query and a document may have the same id."""


def check_texts(view: DatasetView) -> Iterator[Finding]:
    """Yields wrong encodings, lost characters, left-over markup and invisible characters."""
    misread: dict[Place, str] = {}
    kinds: set[str] = set()
    marks: dict[str, dict[Place, str]] = defaultdict(dict)
    for name, texts in (("queries", view.dataset.queries), ("corpus", view.dataset.corpus)):
        for text_id, text in texts.items():
            misreading = None if text.isascii() else find_misreading(text)
            if misreading is not None:
                kinds.add(misreading.what)
                misread[name, text_id] = _shown(name, text_id, text, misreading)
            for code, place in _marks_in(text, misreading is not None):
                marks[code][name, text_id] = _around(name, text_id, text, place)
    if misread:
        total = len(view.dataset.queries) + len(view.dataset.corpus)
        yield _wrong_encoding(misread, kinds, len(misread) / total)
    yield from _marked(marks)


def _marks_in(text: str, is_misread: bool) -> Iterator[tuple[str, int]]:
    """Yields the code and place of what else is wrong with a text."""
    if not is_misread and "\ufffd" in text:
        yield "lost-characters", text.index("\ufffd")
    if ("<" in text or "&" in text) and (match := _MARKUP.search(text)):
        yield "markup", match.start()
    if not text.isprintable() and (match := _INVISIBLE.search(text)):
        yield "invisible-characters", match.start()


def _wrong_encoding(misread: dict[Place, str], kinds: set[str], share: float) -> Finding:
    return finding(
        "error" if share >= _ERROR_SHARE else "warning",
        "wrong-encoding",
        f"{counted(len(misread), 'text was', 'texts were')} read in the wrong encoding: {', '.join(sorted(kinds))}",
        (text_id for _, text_id in misread),
        misread.values(),
        "make the file again from its source with the right encoding; --fix repairs what can be repaired",
    )


def _shown(name: str, text_id: str, text: str, misreading: Misreading) -> str:
    place = f"{name}[{text_id!r}]: {_difference(text, misreading.repaired or '')}"
    return place if misreading.repaired is None else f"{place}, read rightly {_difference(misreading.repaired, text)}"


def _difference(text: str, other: str) -> str:
    """Returns the text around the first place where it isn't as the other."""
    same = next((i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), 0)
    return snippet(text[max(0, same - _SIGNS_AROUND) : same + _SIGNS_AROUND])


def _around(name: str, text_id: str, text: str, place: int) -> str:
    return f"{name}[{text_id!r}]: {snippet(text[max(0, place - _SIGNS_AROUND) : place + _SIGNS_AROUND])}"


def _marked(marks: dict[str, dict[Place, str]]) -> Iterator[Finding]:
    for code, (level, one, many) in _MARKS.items():
        found = marks.get(code)
        if found:
            message = f"1 text {one}" if len(found) == 1 else f"{len(found):,} texts {many}"
            ids = (text_id for _, text_id in found)
            yield finding(level, code, message, ids, found.values(), "clean the source; encoders spend tokens on it")
