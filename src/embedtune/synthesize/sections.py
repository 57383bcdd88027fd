"""Finds the title, the headings and the running sentences of a text, Chinese or English."""

from __future__ import annotations

import re
from typing import NamedTuple

from embedtune.data.chunking import sentences
from embedtune.data.parsers.md import headings_in
from embedtune.data.source_document import Heading

__all__ = ["Sections", "find_sections"]

_LONGEST_TITLE = 80
_ENDS_A_SENTENCE = re.compile(r"[。！？；，、：.!?;,:]$")
_MARKS = re.compile(r"^[\s#*=_>|-]+|[\s#*=_|-]+$")


class Sections(NamedTuple):
    """A text's headings, outermost first (a short first line is one), and the sentences that aren't headings."""

    headings: list[str]
    sentences: list[str]


def find_sections(text: str) -> Sections:
    """Returns what the text's own lines say: Markdown headings, a short first line, then sentences."""
    marked = list(headings_in(text)) or _first_line(text)
    titles = [title for heading in marked if (title := plain(heading.title))]
    return Sections(titles, [found for sentence in sentences(_without(text, marked)) if (found := plain(sentence))])


def plain(text: str) -> str:
    """Returns a text on one line, without the marks of lists, headings and emphasis at its ends."""
    return " ".join(_MARKS.sub("", text).split())


def _first_line(text: str) -> list[Heading]:
    """Returns a heading for a first line that is short and no sentence, with text below it."""
    line, _, rest = text.strip().partition("\n")
    if not rest.strip() or len(line) > _LONGEST_TITLE or _ENDS_A_SENTENCE.search(line.strip()):
        return []
    return [Heading(text.index(line), 1, line)]


def _without(text: str, headings: list[Heading]) -> str:
    """Returns the text without the lines that its headings begin on."""
    kept, start = [], 0
    for heading in headings:
        kept.append(text[start : heading.start])
        end = text.find("\n", heading.start)
        start = len(text) if end < 0 else end + 1
    return "\n\n".join(filter(str.strip, [*kept, text[start:]]))
