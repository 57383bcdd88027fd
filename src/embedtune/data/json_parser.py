"""Parses a JSON file fast, and exactly where that fails: line, column, byte offset, repeated keys."""

from __future__ import annotations

import json
import mmap
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
_VALUE_STARTS = np.isin(np.arange(256), list(b'"[{-0123456789tfn'))
_SECOND_LETTERS = np.zeros(256, dtype=np.uint8)
_SECOND_LETTERS[list(b"tfn")] = list(b"rau")
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


def _read(path: Path) -> memoryview:
    """Returns the file's bytes, mapped rather than copied where the system can."""
    try:
        with path.open("rb") as file:
            try:
                raw = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            except (ValueError, OSError):  # an empty file, a pipe
                raw = memoryview(file.read())
        return raw[len(_BYTE_ORDER_MARK) :] if raw[: len(_BYTE_ORDER_MARK)] == _BYTE_ORDER_MARK else raw
    except FileNotFoundError:
        raise DataError(f"there is no file {path}", remedy=_REMEDY) from None
    except OSError as error:
        raise DataError(f"can't read {path}: {error.strerror}", remedy=_REMEDY) from None


def _parse_fast(raw: memoryview) -> tuple[Any, list[str]] | None:
    """Returns None for whatever isn't plain, correct JSON without a repeated key.

    A repeated key shows in the count of colons after quotation marks: one for each key that is written,
    and one for each text that begins with a colon. Most of those texts don't go on as a value would. So
    where no more colons are left than the parsed value has keys, none is repeated; else the texts are
    looked through.
    """
    try:
        value = msgspec.json.decode(raw)
        colons = _colons_after_marks(raw)
        keys = _count_keys(value) if type(value) in _CONTAINERS else 0
        if _count_before_values(raw, colons) == keys:
            return value, []
        if _has_escapes(raw) or len(colons) != keys + _count_leading_colons(value):
            return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return value, []


def _has_escapes(raw: memoryview) -> bool:
    """Returns whether the file writes spaces or colons as Unicode escapes, which hides them from the count."""
    places = _places(np.frombuffer(raw, dtype=np.uint8), b"\\").tolist()
    return any(bytes(raw[place : place + 6]) in _ESCAPES for place in places)


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


def _colons_after_marks(raw: memoryview) -> npt.NDArray[np.int64]:
    """Returns where a colon follows a quotation mark, white space between them or not.

    A mark with a backslash before it doesn't count, unless the backslash itself has one.
    """
    text = np.frombuffer(raw, dtype=np.uint8)
    colons = _places(text, b":")
    before = _skip(text, colons - 1, _WHITE_SPACE, -1)
    at_mark = (before >= 0) & (text[before] == ord('"'))
    colons, marks = colons[at_mark], before[at_mark]
    backslashes = marks - 1 - _skip(text, marks - 1, _BACKSLASH, -1)
    return np.asarray(colons[backslashes % 2 == 0])


def _count_before_values(raw: memoryview, colons: npt.NDArray[np.int64]) -> int:
    """Returns how many of the colons stand before what a value of correct JSON can begin with."""
    text = np.frombuffer(raw, dtype=np.uint8)
    after = _skip(text, colons + 1, _WHITE_SPACE, 1)
    after = after[after < len(text) - 1]
    first, second = text[after], text[after + 1]
    wanted = _SECOND_LETTERS[first]
    return int(np.count_nonzero(_VALUE_STARTS[first] & ((wanted == 0) | (wanted == second))))


def _places(text: npt.NDArray[np.uint8], byte: bytes) -> npt.NDArray[np.int64]:
    """Returns where a byte stands, in pieces that stay in the processor's cache."""
    starts = range(0, len(text), _BYTES_AT_ONCE)
    found = [np.flatnonzero(text[start : start + _BYTES_AT_ONCE] == ord(byte)) + start for start in starts]
    return np.concatenate(found or [np.empty(0, np.int64)])


def _skip(
    text: npt.NDArray[np.uint8], places: npt.NDArray[np.int64], skipped: npt.NDArray[np.bool_], step: int
) -> npt.NDArray[np.int64]:
    """Returns the places moved by steps of 1 or -1 to the first byte that isn't skipped, or out of the text."""
    places, moving = places.copy(), np.arange(len(places))
    while len(moving):
        at = places[moving]
        inside = (at >= 0) & (at < len(text))
        moving = moving[inside][skipped[text[at[inside]]]]
        places[moving] += step
    return places


def _parse_exactly(raw: memoryview, path: Path) -> tuple[Any, list[str]]:
    try:
        text = str(raw, "utf-8")
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
