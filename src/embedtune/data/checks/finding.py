"""What a check says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Level", "counted", "finding", "printable", "snippet"]

Level = Literal["error", "warning", "note"]

_EXAMPLES = 3
_SNIPPET_CHARACTERS = 60


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (error), makes results worse (warning) or is worth knowing (note)."""

    level: Level
    code: str
    message: str
    ids: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    to_do: str = ""


def finding(
    level: Level, code: str, message: str, ids: Iterable[str] = (), examples: Iterable[str] = (), to_do: str = ""
) -> Finding:
    """Returns a Finding with its ids once each and the first few examples."""
    return Finding(level, code, message, tuple(dict.fromkeys(ids)), tuple(examples)[:_EXAMPLES], to_do)


def counted(number: int, noun: str, plural: str = "") -> str:
    """Returns "1 query" or "1,234 queries"."""
    return f"1 {noun}" if number == 1 else f"{number:,} {plural or noun + 's'}"


def snippet(text: str, characters: int = _SNIPPET_CHARACTERS) -> str:
    """Returns the beginning of a text on one printable line; control characters can't reach a terminal."""
    line = " ".join(text[: 4 * characters].split())
    clean = printable(line)
    return f"“{clean}”" if len(clean) <= characters else f"“{clean[: characters - 1]}…”"


def printable(text: str) -> str:
    """Returns the text with control and invisible characters as Unicode escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
