"""Markdown: as it is, with its headings (# or underlined) outside code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from embedtune.data.source_document import Heading, SourceDocument
from embedtune.data.text_files import read_text

__all__ = ["headings_in", "parse"]

_HASHES = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_NO_TITLE = re.compile(r" {0,3}([-*+>|]|\d+[.)])|\s*$| {4}")


def parse(path: Path) -> Iterator[SourceDocument]:
    """Yields the file's text, unchanged, with its headings."""
    text = read_text(path)
    yield SourceDocument(text, list(headings_in(text)))


def headings_in(text: str) -> Iterator[Heading]:
    """Yields a Markdown text's headings in order."""
    start, fence = 0, ""
    previous, previous_start = "", 0
    for line in text.splitlines(keepends=True):
        content = line.rstrip("\r\n")
        marker = _FENCE.match(content)
        if fence:
            if marker and marker[1].startswith(fence) and not content.strip("`~ \t"):
                fence = ""
            content = ""
        elif marker:
            fence, content = marker[1], ""
        elif hashes := _HASHES.match(content):
            yield Heading(start, len(hashes[1]), " ".join(hashes[2].split()))
            content = ""
        elif (underline := _UNDERLINE.match(content)) and not _NO_TITLE.match(previous):
            yield Heading(previous_start, 1 if underline[1][0] == "=" else 2, " ".join(previous.split()))
            content = ""
        previous, previous_start = content, start
        start += len(line)
