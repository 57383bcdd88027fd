"""Reads objects whose quotes, commas or brackets are damaged, by the names of their fields.

A strict parser gives up at the first fault. The names of the fields are known, so a value is
whatever stands between one name and the next. A value that may be cut off is left out, since half
of a text is worse than none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

__all__ = ["lenient_objects"]

_QUOTES = "\"'“”‘’"
_OPENING = "{｛"
_CLOSING = "}｝"
_AFTER_A_VALUE = re.compile(r"[\s,，;；\]］}｝`]*$")
_SIMPLE_ESCAPE = re.compile(r"\\([\"'/\\])|\\n")
_MISSING = object()


def lenient_objects(text: str, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yields the objects in a damaged text, without the values that aren't whole; `names` longest first."""
    found = list(_key_pattern(names).finditer(text))
    current: dict[str, Any] = {}
    for match, following in zip_longest(found, found[1:]):
        name = match.group(1).lower()
        if current and (name in current or match.group(0)[0] in _OPENING):
            yield _whole(current)
            current = {}
        raw = text[match.end() : len(text) if following is None else following.start()]
        body = raw[: len(raw) - len(_after_a_value(raw))].strip()
        ended = following is not None or any(mark in _after_a_value(raw) for mark in _CLOSING)
        current[name] = _value(body, ended=ended)
        if any(mark in _after_a_value(raw) for mark in _CLOSING):
            yield _whole(current)
            current = {}
    if current:
        yield _whole(current)


def _key_pattern(names: Sequence[str]) -> re.Pattern[str]:
    """Matches a field's name with its colon, and the mark before it, whichever quotes are missing."""
    before = rf"(?:^|[{_OPENING},，;；\n{_QUOTES}])\s*[{_QUOTES}]?"
    return re.compile(rf"{before}({'|'.join(map(re.escape, names))})[{_QUOTES}]?\s*[:：]\s*", re.IGNORECASE)


def _whole(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not _MISSING}


def _after_a_value(raw: str) -> str:
    found = _AFTER_A_VALUE.search(raw)
    return found.group() if found else ""


def _value(body: str, *, ended: bool) -> Any:
    """Returns a value without its quotes, or _MISSING where it may be cut off."""
    try:
        return json.loads(body, strict=False)
    except ValueError:
        pass
    opened = body[:1] != "" and body[0] in _QUOTES
    closed = len(body) > 1 and body[-1] in _QUOTES and not body.endswith("\\" + body[-1])
    if not (opened or closed) or not (closed or ended):
        return _MISSING
    return _unescaped(body[1 if opened else 0 : -1 if closed else None])


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return _SIMPLE_ESCAPE.sub(lambda match: match.group(1) or "\n", text)
