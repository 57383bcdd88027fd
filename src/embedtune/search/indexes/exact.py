"""Every document is looked at; saved vectors are searched from a memory map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from embedtune.options import Options
from embedtune.search.vector_index import VectorIndex

__all__ = ["OPTIONS", "ExactOptions", "build", "load"]


class ExactOptions(Options):
    """Exact search has nothing to choose."""


OPTIONS = ExactOptions


def build(vectors: npt.NDArray[Any], document_ids: Sequence[str], options: ExactOptions) -> VectorIndex:
    """Returns the exact index; the vectors aren't copied."""
    return VectorIndex(vectors, document_ids)


def load(folder: Path, document_ids: Sequence[str]) -> VectorIndex:
    """Returns the exact index over the vectors saved in a folder, as a memory map."""
    return VectorIndex.load(folder, document_ids)
