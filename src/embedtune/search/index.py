"""Builds, saves and opens the indexes of search/indexes, and measures what an approximate one misses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import xxhash

from embedtune.artifact import Artifact
from embedtune.errors import StorageError
from embedtune.models.encoder import Vectors
from embedtune.options import Options
from embedtune.search.indexes import INDEXES
from embedtune.search.run import RankedDocument
from embedtune.search.vector_index import FoundRows, VectorIndex

__all__ = ["INDEX", "Index", "build_index", "load_index", "recall_against_exact", "save_index"]

INDEX = "index"
_IDS_FILE = "document_ids.json"
_BYTES_AT_ONCE = 16_000_000


class Index(Protocol):
    """Anything that finds documents by their vectors; scores and ties are those of VectorIndex."""

    exact: bool
    document_ids: Sequence[str]

    def search(self, query_vectors: Vectors, top_k: int) -> list[list[RankedDocument]]:
        """Returns for each row of `query_vectors`, shape (queries, dim), its `top_k` best documents."""

    def search_rows(self, query_vectors: Vectors, top_k: int) -> FoundRows:
        """Returns what `search` does as rows of the vectors; -1 and -inf where nothing more was found."""

    def save(self, folder: Path) -> None:
        """Writes all but the document ids into a folder that exists."""


def build_index(
    name: str, vectors: npt.NDArray[Any], document_ids: Sequence[str], options: Options | None = None
) -> Index:
    """Returns the index of that name over the vectors, shape (documents, dim).

    Raises OptionsError for an unknown name, EvaluationError for vectors that can't be searched.
    """
    module = INDEXES.load(name)
    built: Index = module.build(vectors, document_ids, options or module.OPTIONS())
    return built


def save_index(index: Index, name: str, folder: str | Path, *, overwrite: bool = False) -> None:
    """Writes an index of that name, whole or not at all; raises StorageError where the disk is full."""
    INDEXES.load(name)
    made_from: dict[str, Any] = {"index": name, "documents": len(index.document_ids), "files": {}}
    with Artifact.create(folder, INDEX, made_from, overwrite=overwrite) as temporary:
        (temporary / _IDS_FILE).write_bytes(msgspec.json.encode(list(index.document_ids)))
        index.save(temporary)
        made_from["files"] = {file.name: _digest(file) for file in sorted(temporary.iterdir())}


def load_index(folder: str | Path) -> Index:
    """Returns the index in a folder; the exact one stays a memory map.

    Raises StorageError where the folder isn't whole or a file isn't as it was written.
    """
    artifact = Artifact.open(folder, INDEX)
    made_from = artifact.manifest["made_from"]
    for name, digest in made_from["files"].items():
        file = artifact.folder / Path(name).name
        if not file.is_file() or _digest(file) != digest:
            raise StorageError(
                f"{file.name} is {'damaged' if file.is_file() else 'missing'}, so the index can't be read",
                where=str(artifact.folder),
                remedy="build and save the index again",
            )
    document_ids = msgspec.json.decode((artifact.folder / _IDS_FILE).read_bytes(), type=list[str])
    loaded: Index = INDEXES.load(made_from["index"]).load(artifact.folder, document_ids)
    return loaded


def recall_against_exact(
    index: Index, vectors: npt.NDArray[Any], query_vectors: Vectors, top_k: int, *, sample: int, seed: int
) -> float:
    """Returns the share of the exact `top_k` documents that the index finds, over a sample of the queries."""
    chooser = np.random.default_rng(seed)
    chosen = query_vectors[np.sort(chooser.permutation(len(query_vectors))[:sample])]
    expected = VectorIndex(vectors, index.document_ids).search_rows(chosen, top_k).rows
    found = index.search_rows(chosen, top_k).rows
    shares = [len(np.intersect1d(one, other)) / len(one) for one, other in zip(expected, found, strict=True)]
    return float(np.mean(shares))


def _digest(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while piece := file.read(_BYTES_AT_ONCE):
            digest.update(piece)
    return digest.hexdigest()
