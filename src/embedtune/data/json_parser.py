"""Parses a JSON file fast, and exactly where that fails: line, column, byte offset, repeated keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from embedtune.data.faults import kind_of
from embedtune.errors import DataError

__all__ = ["ParsedFile", "parse_file"]

_REMEDY = "give the path of a dataset in embedtune's JSON format (see docs/datasets.md)"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACED_COLONS = (b'" :', b'"\t:', b'"\n:', b'"\r:')


class ParsedFile(NamedTuple):
    """The file's object, and the keys that stand twice in one of its objects (the last value is kept)."""

    fields: dict[str, Any]
    repeated_keys: list[str]


def parse_file(path: Path) -> ParsedFile:
    """Returns the JSON object in a file; raises DataError with line and column, or byte offset."""
    raw = _read(path)
    parsed = _parse_fast(raw)
    if parsed is None:
        parsed = _parse_exactly(raw, path)
    value, repeated = parsed
    if not isinstance(value, dict):
        raise DataError(f"expected a JSON object, found {kind_of(value)}", where=str(path), remedy=_REMEDY)
    return ParsedFile(value, repeated)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes().removeprefix(_BYTE_ORDER_MARK)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}", remedy=_REMEDY) from None
    except OSError as error:
        raise DataError(f"can't read {path}: {error.strerror}", remedy=_REMEDY) from None


def _parse_fast(raw: bytes) -> tuple[Any, list[str]] | None:
    """Returns None for whatever isn't plain, correct JSON without a repeated key."""
    try:
        value = msgspec.json.decode(raw)
        keys = _count_keys(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return (value, []) if keys == _count_written_keys(raw) else None


def _count_keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(_count_keys(inner) for inner in value.values() if isinstance(inner, dict | list))
    if isinstance(value, list):
        return sum(_count_keys(inner) for inner in value if isinstance(inner, dict | list))
    return 0


def _count_written_keys(raw: bytes) -> int | None:
    """Returns how many keys are written in the text, repeated ones too; None where that can't be told cheaply.

    A key ends in `":`. Inside a text a quotation mark has a backslash before it, so those are
    taken off, unless a backslash before a key's end makes the two look alike.
    """
    if b'\\\\":' in raw or any(spaced in raw for spaced in _SPACED_COLONS):
        return None
    return raw.count(b'":') - raw.count(b'\\":')


def _parse_exactly(raw: bytes, path: Path) -> tuple[Any, list[str]]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"not UTF-8: byte {raw[error.start]:#04x} at offset {error.start}",
            where=str(path),
            remedy="save the file as UTF-8; Chinese files are often GB18030",
        ) from None
    repeated: list[str] = []
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, repeated)), repeated
    except json.JSONDecodeError as error:
        raise DataError(
            f"broken JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            where=f"{path}:{error.lineno}:{error.colno}",
            remedy="mend the file there; a file cut off while it was copied ends like this too",
        ) from None
    except RecursionError:
        raise DataError("broken JSON: nested too deeply for a dataset", where=str(path)) from None


def _unique(pairs: list[tuple[str, Any]], repeated: list[str]) -> Mapping[str, Any]:
    """Builds a JSON object and notes the keys that `json` would silently have overwritten."""
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                repeated.append(key)
            seen.add(key)
    return result
