"""Where documents and their vectors are published; each file is a store of that name.

A store module has OPTIONS, its Options class, and `open_store(options, dim) -> VectorStore`; see
VectorStore in export/vector_store.py.
"""

from embedtune.registry import Registry

__all__ = ["DEFAULT_STORE", "STORES"]

STORES = Registry(__name__, "store")
DEFAULT_STORE = "faiss"
