"""JSON Lines: a document a row, from its column text, contents, content, body or document."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from embedtune.data.records import missing_column, read_records, text_in
from embedtune.data.source_document import SourceDocument, TextBuilder

__all__ = ["parse"]

_TEXTS = ("text", "contents", "content", "body", "document")
_IDS = ("_id", "id", "doc_id", "docid")


def parse(path: Path) -> Iterator[SourceDocument]:
    """Yields each row's text, under its title where it has one, named after its id or its place."""
    for number, record in enumerate(read_records(path), start=1):
        column = next((name for name in _TEXTS if name in record.values), None)
        if column is None:
            raise missing_column(_TEXTS[0], record.values, record.place)
        name = next((str(record.values[key]) for key in _IDS if record.values.get(key) not in (None, "")), str(number))
        title = record.values.get("title")
        if not title:
            yield SourceDocument(text_in(record, column), name=name)
            continue
        builder = TextBuilder()
        builder.add(str(title), level=1)
        builder.add(text_in(record, column))
        yield builder.document()._replace(name=name)
