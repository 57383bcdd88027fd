"""Writes a dataset's fields as JSON text an entry at a time, so that memory stays flat."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["json_pieces"]


def json_pieces(fields: Mapping[str, Any], *, indented: bool = False) -> Iterator[str]:
    """Yields what json.dumps would return, in pieces: compact, or with one space of indentation."""
    separators = (",", ": " if indented else ":")
    encoder = json.JSONEncoder(ensure_ascii=False, indent=1 if indented else None, separators=separators)
    yield from _object_pieces(fields, encoder, depth=1)


def _object_pieces(entries: Mapping[str, Any], encoder: json.JSONEncoder, depth: int) -> Iterator[str]:
    if not entries:
        yield "{}"
        return
    line = "\n" + " " * depth if encoder.indent else ""
    before = "{"
    for key, value in entries.items():
        yield f"{before}{line}{encoder.encode(key)}{encoder.key_separator}"
        if depth == 1 and isinstance(value, Mapping):
            yield from _object_pieces(value, encoder, depth=2)
        else:
            # a line end in a text is escaped, so those here are the encoder's own indentation
            yield encoder.encode(value).replace("\n", line) if line else encoder.encode(value)
        before = ","
    yield line[:-1] + "}"
