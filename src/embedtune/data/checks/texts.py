"""Texts that were damaged before they got here."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

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


def check_texts(view: DatasetView) -> Iterator[Finding]:
    """Yields wrong encodings, lost characters, left-over markup and invisible characters."""
    misread: dict[str, Misreading] = {}
    marks: dict[str, dict[str, str]] = defaultdict(dict)
    total = len(view.dataset.queries) + len(view.dataset.corpus)
    for name, texts in (("queries", view.dataset.queries), ("corpus", view.dataset.corpus)):
        _look_at(name, texts, misread, marks)
    if misread:
        yield _wrong_encoding(view, misread, total)
    yield from _marked(marks)


def _look_at(
    name: str, texts: Mapping[str, str], misread: dict[str, Misreading], marks: dict[str, dict[str, str]]
) -> None:
    for text_id, text in texts.items():
        if not text.isascii():
            misreading = find_misreading(text)
            if misreading is not None:
                misread[text_id] = misreading
            elif "\ufffd" in text:
                marks["lost-characters"][text_id] = _around(name, text_id, text, text.index("\ufffd"))
        if ("<" in text or "&" in text) and (match := _MARKUP.search(text)):
            marks["markup"][text_id] = _around(name, text_id, text, match.start())
        if not text.isprintable() and (match := _INVISIBLE.search(text)):
            marks["invisible-characters"][text_id] = _around(name, text_id, text, match.start())


def _wrong_encoding(view: DatasetView, misread: dict[str, Misreading], total: int) -> Finding:
    kinds = sorted({misreading.what for misreading in misread.values()})
    examples = []
    for text_id, misreading in misread.items():
        text = view.dataset.corpus.get(text_id) or view.dataset.queries[text_id]
        right = "" if misreading.repaired is None else f", read rightly {_difference(misreading.repaired, text)}"
        examples.append(f"{text_id!r}: {_difference(text, misreading.repaired or '')}{right}")
    return finding(
        "error" if len(misread) >= _ERROR_SHARE * total else "warning",
        "wrong-encoding",
        f"{counted(len(misread), 'text was', 'texts were')} read in the wrong encoding: {', '.join(kinds)}",
        misread,
        examples,
        "make the file again from its source with the right encoding; --fix repairs what can be repaired",
    )


def _difference(text: str, other: str) -> str:
    """Returns the text around the first place where it isn't as the other."""
    same = next((i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), 0)
    return snippet(text[max(0, same - _SIGNS_AROUND) : same + _SIGNS_AROUND])


def _around(name: str, text_id: str, text: str, place: int) -> str:
    return f"{name}[{text_id!r}]: {snippet(text[max(0, place - _SIGNS_AROUND) : place + _SIGNS_AROUND])}"


def _marked(marks: dict[str, dict[str, str]]) -> Iterator[Finding]:
    for code, (level, one, many) in _MARKS.items():
        found = marks.get(code)
        if found:
            message = f"1 text {one}" if len(found) == 1 else f"{len(found):,} texts {many}"
            yield finding(level, code, message, found, found.values(), "clean the source; encoders spend tokens on it")
