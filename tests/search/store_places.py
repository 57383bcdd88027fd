"""Which stores can be tried here, and a place for each."""

from __future__ import annotations

from importlib.util import find_spec

from embedtune.search.stores import STORES

PACKAGES = {
    "faiss": ["faiss"],
    "lancedb": ["lancedb"],
    "milvus": ["pymilvus", "milvus_lite"],
    "qdrant": ["qdrant_client"],
}
HERE = [name for name in STORES.names() if all(find_spec(package) for package in PACKAGES[name])]


def options_of(name, folder, **values):
    return STORES.load(name).OPTIONS(path=folder / name, **values)
