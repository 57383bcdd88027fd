"""The exceptions a user can meet.

EmbedtuneError
├── OptionsError          an unknown option, flag, plugin name or value
├── DataError             a dataset that can't be read, or says two things at once
├── EncoderError          a model that can't be found, loaded or trusted
├── LanguageError         a language model's server that can't be reached, refuses, or fails for good
├── MissingPackageError   an optional package that a plugin needs
├── ProcessError          one of several processes that ended, or doesn't answer
├── StorageError          a disk that is full, a folder that is in the way or incomplete, a store that doesn't answer
└── EvaluationError       results that can't be computed or compared

The command line prints them without a traceback and exits with status 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "DataError",
    "EmbedtuneError",
    "EncoderError",
    "EvaluationError",
    "LanguageError",
    "MissingPackageError",
    "OptionsError",
    "ProcessError",
    "StorageError",
    "describe_unknown",
]


class EmbedtuneError(Exception):
    """A mistake that its message can explain: what was found, where, and what to do."""

    def __init__(self, found: str, *, where: str | None = None, remedy: str | None = None) -> None:
        self.found = found
        self.where = where
        self.remedy = remedy
        lines = [found]
        if where:
            lines.append(f"  where: {where}")
        if remedy:
            lines.append(f"  to do: {remedy}")
        super().__init__("\n".join(lines))


class OptionsError(EmbedtuneError):
    """An unknown option, flag, plugin name or value."""


class DataError(EmbedtuneError):
    """A dataset that can't be read, or that contradicts itself."""


class EncoderError(EmbedtuneError):
    """A model that can't be found, loaded or trusted."""


class LanguageError(EmbedtuneError):
    """A language model's server that can't be reached, refuses, or fails again and again."""


class MissingPackageError(EmbedtuneError):
    """An optional package that a plugin needs and that isn't installed."""


class ProcessError(EmbedtuneError):
    """One of the processes that train together ended, or doesn't answer."""


class StorageError(EmbedtuneError):
    """A disk that is full, a folder that is in the way or incomplete, a vector store or Hub that doesn't answer."""


class EvaluationError(EmbedtuneError):
    """Results that can't be computed or can't be compared."""


def describe_unknown(kind: str, found: str, known: Iterable[str]) -> str:
    """Says that `found` isn't a known `kind`, names the nearest known one and lists the others."""
    names = sorted(known)
    near = difflib.get_close_matches(found, names, n=1, cutoff=0.5)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(names) if names else "none"
    return f"unknown {kind} {found!r}{guess} (known: {listed})"
