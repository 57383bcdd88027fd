"""The faults of a recipe, all at once, each with its line and the nearest known word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from embedtune.errors import OptionsError
from embedtune.pipeline.recipe_text import KeyPath, RecipeText

__all__ = ["FaultList", "nearest"]

_OPTION = re.compile(r"option '([^']+)'|option \"([^\"]+)\"")


class FaultList:
    """Collects faults while a recipe is read."""

    def __init__(self, text: RecipeText) -> None:
        self._text = text
        self._lines: list[str] = []

    def add(self, keys: KeyPath, message: str) -> None:
        """Notes a fault of the value at `keys`."""
        step = f"step {keys[1]!r}: " if keys[0] == "steps" and len(keys) > 1 else ""
        self._lines.append(f"{self._text.where(keys)}: {step}{message}")

    def unknown(self, keys: KeyPath, kind: str, found: str, known: Iterable[str]) -> None:
        """Notes a word that isn't known, with the nearest that is, or all of them."""
        names = sorted(known)
        listed = f" (known: {', '.join(names)})"
        self.add(keys, f"unknown {kind} {found!r}{nearest(found, names) or listed}")

    def add_error(self, keys: KeyPath, error: OptionsError) -> None:
        """Notes what an Options class refused, a line each."""
        for line in error.found.splitlines():
            named = _OPTION.search(line)
            place = (*keys, next(filter(None, named.groups()))) if named else keys
            self.add(place, line)

    def raise_any(self) -> None:
        """Raises OptionsError with everything noted."""
        if self._lines:
            raise OptionsError(
                "\n".join(dict.fromkeys(self._lines)),
                remedy="embedtune init --schema writes a JSON Schema that editors complete and check with",
            )


def nearest(found: str, known: Iterable[str]) -> str:
    """Returns "; did you mean 'X'?" for the nearest known word, or the one with these initials; else nothing."""
    names = sorted(known)
    wanted = found.replace("-", "_")
    initials = [name for name in names if "".join(part[0] for part in name.split("_") if part) == wanted]
    near = initials or difflib.get_close_matches(wanted, names, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
