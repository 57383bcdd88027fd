"""Parses a JSON file fast, and exactly where that fails: line, column, byte offset, repeated keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from operator import methodcaller
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from embedtune.data.faults import kind_of
from embedtune.errors import DataError

__all__ = ["ParsedFile", "parse_file"]

_REMEDY = "give the path of a dataset, a JSON file or a folder of tables (see docs/datasets.md)"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WHITE_SPACE = np.isin(np.arange(256), list(b" \t\n\r"))
_BACKSLASH = np.isin(np.arange(256), list(b"\\"))
_CONTAINERS = frozenset((dict, list))
_MAY_LEAD = methodcaller("startswith", (" ", ":"))
_ESCAPES = (b"\\u0020", b"\\u003a", b"\\u003A")
_BYTES_AT_ONCE = 1 << 18


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
    """Returns None for whatever isn't plain, correct JSON without a repeated key.

    A repeated key shows in the count of colons after quotation marks: one for each key that is
    written, and one for each text that begins with a colon. So where there are no more than
    the parsed value has keys, none is repeated; else the texts are looked through.
    """
    try:
        value = msgspec.json.decode(raw)
        found = _count_colons_after_marks(raw)
        keys = _count_keys(value) if type(value) in _CONTAINERS else 0
        if found != keys and (_has_escapes(raw) or found != keys + _count_leading_colons(value)):
            return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return value, []


def _has_escapes(raw: bytes) -> bool:
    """Returns whether the file writes spaces or colons as Unicode escapes, which hides them from the count."""
    places = _places(np.frombuffer(raw, dtype=np.uint8), b"\\").tolist()
    return any(raw.startswith(_ESCAPES, place) for place in places)


def _count_keys(value: dict[str, Any] | list[Any]) -> int:
    inner = value.values() if isinstance(value, dict) else value
    keys = len(value) if isinstance(value, dict) else 0
    if _CONTAINERS.isdisjoint(map(type, inner)):
        return keys
    return keys + sum(_count_keys(one) for one in inner if type(one) in _CONTAINERS)


def _count_leading_colons(value: Any) -> int:
    """Returns how many texts and keys begin with a colon, spaces before it or not."""
    if isinstance(value, str):
        return value[:1] in " :" and value.lstrip(" ").startswith(":")
    if isinstance(value, dict):
        return _count_leading_colons(list(value)) + _count_leading_colons(list(value.values()))
    if isinstance(value, list):
        if {str}.issuperset(map(type, value)):
            value = list(filter(_MAY_LEAD, value))
        return sum(map(_count_leading_colons, value))
    return 0


def _count_colons_after_marks(raw: bytes) -> int:
    """Returns how often a colon follows a quotation mark, white space between them or not.

    A mark with a backslash before it doesn't count, unless the backslash itself has one.
    """
    text = np.frombuffer(raw, dtype=np.uint8)
    before = _skip_back(text, _places(text, b":") - 1, _WHITE_SPACE)
    marks = before[(before >= 0) & (text[before] == ord('"'))]
    backslashes = marks - 1 - _skip_back(text, marks - 1, _BACKSLASH)
    return int(np.count_nonzero(backslashes % 2 == 0))


def _places(text: npt.NDArray[np.uint8], byte: bytes) -> npt.NDArray[np.int64]:
    """Returns where a byte stands, in pieces that stay in the processor's cache."""
    starts = range(0, len(text), _BYTES_AT_ONCE)
    found = [np.flatnonzero(text[start : start + _BYTES_AT_ONCE] == ord(byte)) + start for start in starts]
    return np.concatenate(found or [np.empty(0, np.int64)])


def _skip_back(
    text: npt.NDArray[np.uint8], places: npt.NDArray[np.int64], skipped: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Returns the places moved back to the first byte that isn't skipped; -1 where there is none."""
    places = places.copy()
    moving = np.flatnonzero((places >= 0) & skipped[text[places]])
    while len(moving):
        places[moving] -= 1
        moving = moving[(places[moving] >= 0) & skipped[text[places[moving]]]]
    return places


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
