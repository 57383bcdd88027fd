"""Files of running text → their text and headings; each file here reads the files with that suffix.

A parser has `parse(path) -> Iterator[SourceDocument]`. Its own package is imported at its top, so
that a missing one is reported with its extra, and only when such a file is there.
"""

from embedtune.registry import Registry

__all__ = ["PARSERS"]

PARSERS = Registry(__name__, "parser")
