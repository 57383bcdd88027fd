"""PDF: the text of its pages, with lines joined to sentences again."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from pypdf import PdfReader
from pypdf.errors import FileNotDecryptedError, PyPdfError

from embedtune.data.source_document import SourceDocument
from embedtune.errors import DataError

__all__ = ["parse"]

_ENDS = "。！？；：…”』」.!?;:"
_WIDE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uff60]")


def parse(path: Path) -> Iterator[SourceDocument]:
    """Yields the text of all pages; raises DataError for a file that has none, is locked or cut off."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        with PdfReader(path) as reader:
            pages = [page.extract_text() for page in reader.pages]
    except FileNotDecryptedError:
        raise DataError("the PDF is locked with a password", where=str(path), remedy="save it without one") from None
    except (PyPdfError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise DataError(
            f"not a whole PDF: {error}", where=str(path), remedy="fetch the file again; it was probably cut off"
        ) from None
    text = "\n\n".join(filter(None, map(_joined_lines, pages)))
    if not text:
        raise DataError(
            f"the PDF has no text on its {len(pages)} pages, only pictures",
            where=str(path),
            remedy="read it with OCR first (for example ocrmypdf), which adds the text",
        )
    yield SourceDocument(text)


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
