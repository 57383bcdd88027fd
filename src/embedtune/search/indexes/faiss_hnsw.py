"""A graph of near neighbours (FAISS HNSW): fast for single queries, slow to build, approximate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
from pydantic import Field

from embedtune import progress
from embedtune.options import Options
from embedtune.search.faiss_index import FaissIndex, read_faiss
from embedtune.search.vector_index import check_vectors

__all__ = ["OPTIONS", "HnswOptions", "build", "load"]


_ADDED_AT_ONCE = 20_000
"""Seconds of work for every thread; a smaller index is built in one go."""


class HnswOptions(Options):
    """How the graph is built and searched (Malkov and Yashunin, arXiv 1603.09320)."""

    links: int = Field(default=32, ge=2, description="Links of a document to others; the paper's M.")
    build_width: int = Field(default=100, ge=1, description="Candidates looked at to place a document; efConstruction.")
    search_width: int = Field(default=200, ge=1, description="Candidates looked at for a query; efSearch.")


OPTIONS = HnswOptions


def build(vectors: npt.NDArray[Any], document_ids: Sequence[str], options: HnswOptions) -> FaissIndex:
    """Returns the index; it holds a copy of the vectors. With several threads two builds may differ a little."""
    checked = check_vectors(vectors, document_ids).vectors
    index = faiss.IndexHNSWFlat(checked.shape[1], options.links, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = options.build_width
    index.hnsw.efSearch = options.search_width
    with progress.task("build the graph", total=len(checked)) as building:
        for start in range(0, len(checked), _ADDED_AT_ONCE):
            added = np.ascontiguousarray(checked[start : start + _ADDED_AT_ONCE], dtype=np.float32)
            index.add(added)
            building.advance(len(added))
    return FaissIndex(index, document_ids, lambda top_k: _parameters(index, top_k))


def load(folder: Path, document_ids: Sequence[str]) -> FaissIndex:
    """Returns the index saved in a folder."""
    index = read_faiss(folder)
    return FaissIndex(index, document_ids, lambda top_k: _parameters(index, top_k))


def _parameters(index: Any, top_k: int) -> Any:
    """A search looks at no fewer candidates than it returns."""
    return faiss.SearchParametersHNSW(efSearch=max(int(index.hnsw.efSearch), top_k))  # type: ignore[attr-defined]
