"""A document as it was before chunking: its text and where its headings stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Heading", "SourceDocument", "TextBuilder"]


class Heading(NamedTuple):
    """A heading that begins at `start` in the text; level 1 is the highest."""

    start: int
    level: int
    title: str


class SourceDocument(NamedTuple):
    """A text with its headings in order; `name` tells it from others in the same file, or is empty."""

    text: str
    headings: Sequence[Heading] = ()
    name: str = ""


class TextBuilder:
    """Puts a text together from blocks, with an empty line between them, and notes the headings."""

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []

    def add(self, text: str, level: int | None = None) -> None:
        """Adds a block, as a heading where a level is given; an empty one is left out."""
        block = text.strip()
        if not block:
            return
        if level is not None:
            self._headings.append(Heading(self._length, level, " ".join(block.split())))
        self._blocks.append(block)
        self._length += len(block) + len("\n\n")

    def document(self) -> SourceDocument:
        """Returns the document so far."""
        return SourceDocument("\n\n".join(self._blocks), self._headings)
