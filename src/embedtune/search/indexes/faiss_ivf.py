"""Documents in clusters (FAISS IVF), of which a query visits the nearest: quick to build, approximate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
from pydantic import Field

from embedtune.options import Options
from embedtune.search.faiss_index import FaissIndex, read_faiss
from embedtune.search.vector_index import check_vectors

__all__ = ["OPTIONS", "IvfOptions", "build", "load"]

_LEAST_IN_A_CLUSTER = 39
"""FAISS warns about fewer training points a cluster."""


class IvfOptions(Options):
    """How many clusters there are and how many of them are visited."""

    clusters: int | None = Field(
        default=None, ge=1, description="Clusters; default: 4 times the root of the number of documents."
    )
    visited: int | None = Field(default=None, ge=1, description="Clusters visited for a query; default: a sixteenth.")
    seed: int = Field(default=42, description="Seeds the clustering.")


OPTIONS = IvfOptions


def build(vectors: npt.NDArray[Any], document_ids: Sequence[str], options: IvfOptions) -> FaissIndex:
    """Returns the index; it holds a copy of the vectors."""
    checked = np.ascontiguousarray(check_vectors(vectors, document_ids).vectors, dtype=np.float32)
    most = max(1, len(checked) // _LEAST_IN_A_CLUSTER)
    clusters = options.clusters or min(most, math.ceil(4 * math.sqrt(len(checked))))
    clusters = min(clusters, len(checked))
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(checked.shape[1]), checked.shape[1], clusters, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.seed = options.seed
    index.cp.min_points_per_centroid = 1
    index.train(checked)
    index.add(checked)
    index.nprobe = min(clusters, options.visited or max(8, clusters // 16))
    index.make_direct_map()
    return FaissIndex(index, document_ids, lambda top_k: None)


def load(folder: Path, document_ids: Sequence[str]) -> FaissIndex:
    """Returns the index saved in a folder."""
    index = read_faiss(folder)
    index.make_direct_map()
    return FaissIndex(index, document_ids, lambda top_k: None)
