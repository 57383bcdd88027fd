"""Word documents (.docx): paragraphs, headings and tables in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

from docx import Document
from docx.opc.exceptions import PackageNotFoundError
from docx.table import Table
from docx.text.paragraph import Paragraph

from embedtune.data.source_document import SourceDocument, TextBuilder
from embedtune.errors import DataError

__all__ = ["parse"]

_HEADING = re.compile(r"(?:heading|标题)\s*([1-9])", re.IGNORECASE)


def parse(path: Path) -> Iterator[SourceDocument]:
    """Yields the document's text; raises DataError for a file that can't be opened."""
    try:
        content = list(Document(str(path)).iter_inner_content())
    except (PackageNotFoundError, BadZipFile, KeyError, ValueError, SyntaxError, EOFError) as error:
        raise DataError(
            f"not a whole Word document: {error}",
            where=str(path),
            remedy="open and save it again as .docx, or fetch it again; it was probably cut off",
        ) from None
    builder = TextBuilder()
    for block in content:
        if isinstance(block, Paragraph):
            builder.add(block.text, _level(block))
        elif isinstance(block, Table):
            builder.add("\n".join(_row(row) for row in block.rows))
    yield builder.document()


def _level(paragraph: Paragraph) -> int | None:
    name = (paragraph.style.name if paragraph.style is not None else None) or ""
    found = _HEADING.fullmatch(name)
    return int(found[1]) if found else None


def _row(row: object) -> str:
    """Returns the cells of a row; one that spans columns is there once."""
    cells = {id(cell._tc): cell.text.strip() for cell in row.cells}  # type: ignore[attr-defined]
    return " | ".join(text for text in cells.values() if text)
