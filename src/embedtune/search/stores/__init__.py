"""Where documents and their vectors are published, and searched afterwards; each file is a store of that name.

A store module has OPTIONS, its Options class, and `open_store(options, dim, existing=False) ->
VectorStore`, which makes what isn't there unless `existing`; see VectorStore in search/vector_store.py.
"""

from embedtune.registry import Registry

__all__ = ["DEFAULT_STORE", "STORES"]

STORES = Registry(__name__, "store")
DEFAULT_STORE = "faiss"
