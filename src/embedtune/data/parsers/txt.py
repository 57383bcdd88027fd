"""Plain text: as it is, without headings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from embedtune.data.source_document import SourceDocument
from embedtune.data.text_files import read_text

__all__ = ["parse"]


def parse(path: Path) -> Iterator[SourceDocument]:
    """Yields the file's text."""
    yield SourceDocument(read_text(path))
