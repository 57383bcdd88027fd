"""Vectors → the nearest documents; each file is an index of that name.

An index module has OPTIONS, its Options class, `build(vectors, document_ids, options) -> Index`
and `load(folder, document_ids) -> Index`; see Index in search/index.py.
"""

from embedtune.registry import Registry

__all__ = ["INDEXES"]

INDEXES = Registry(__name__, "index")
