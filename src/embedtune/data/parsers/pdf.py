"""PDF: the text of its pages, lines joined to sentences again, and its bookmarks as headings."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from pypdf import PdfReader
from pypdf.errors import FileNotDecryptedError, PyPdfError

from embedtune.data.source_document import Heading, SourceDocument
from embedtune.errors import DataError

__all__ = ["parse"]

_PAGE_BREAK = "\n\n"
_ENDS = "。！？；：…”』」.!?;:"
_WIDE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uff60]")


class _Bookmark(NamedTuple):
    page: int
    level: int
    title: str


def parse(path: Path) -> Iterator[SourceDocument]:
    """Yields the text of all pages, with its bookmarks as headings where their titles stand in the text.

    Raises DataError for a file that has no text, is locked or cut off.
    """
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        with PdfReader(path) as reader:
            pages = [_joined_lines(page.extract_text()) for page in reader.pages]
            bookmarks = list(_bookmarks(reader, reader.outline, 1))
    except FileNotDecryptedError:
        raise DataError("the PDF is locked with a password", where=str(path), remedy="save it without one") from None
    except (PyPdfError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise DataError(
            f"not a whole PDF: {error}", where=str(path), remedy="fetch the file again; it was probably cut off"
        ) from None
    text = _PAGE_BREAK.join(pages)
    if not text.strip():
        raise DataError(
            f"the PDF has no text on its {len(pages)} pages, only pictures",
            where=str(path),
            remedy="read it with OCR first (for example ocrmypdf), which adds the text",
        )
    yield SourceDocument(text, list(_headings(text, pages, bookmarks)))


def _bookmarks(reader: PdfReader, outline: Any, level: int) -> Iterator[_Bookmark]:
    """Yields the bookmarks in order; those below one are in a list of their own."""
    for item in outline:
        if isinstance(item, list):
            yield from _bookmarks(reader, item, level + 1)
        else:
            page = reader.get_destination_page_number(item)
            yield _Bookmark(-1 if page is None else page, level, " ".join(str(item.title).split()))


def _headings(text: str, pages: list[str], bookmarks: list[_Bookmark]) -> Iterator[Heading]:
    starts = [0, *accumulate(len(page) + len(_PAGE_BREAK) for page in pages)]
    place = 0
    for bookmark in bookmarks:
        if not bookmark.title or not 0 <= bookmark.page < len(pages):
            continue
        words = r"\s*".join(re.escape(word) for word in bookmark.title.split())
        found = re.compile(words).search(text, max(place, starts[bookmark.page]), starts[bookmark.page + 1])
        if found:
            place = found.end()
            yield Heading(found.start(), bookmark.level, bookmark.title)


def _joined_lines(page: str) -> str:
    """Returns the page's text; a line that doesn't end a sentence goes on in the next one."""
    text = ""
    for line in page.splitlines():
        stripped = line.strip()
        if not stripped:
            text = text.rstrip("\n") + "\n\n" if text else text
        elif not text or text[-1] == "\n":
            text += stripped
        elif text[-1] in _ENDS:
            text += "\n" + stripped
        else:
            text += ("" if _WIDE.match(text[-1]) or _WIDE.match(stripped) else " ") + stripped
    return text.strip()
