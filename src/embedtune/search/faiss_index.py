"""What every FAISS index shares: candidates from FAISS, scores and ties as in exact search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from embedtune.errors import StorageError
from embedtune.models.encoder import Vectors
from embedtune.search.rescoring import best_first, exact_scores
from embedtune.search.run import RankedDocument
from embedtune.search.vector_index import FoundRows, check_queries, ranked_documents

__all__ = ["FaissIndex", "read_faiss"]

_FILE = "index.faiss"


class FaissIndex:
    """An approximate index whose vectors FAISS keeps.

    `parameters` gives FAISS' search parameters for a `top_k`.
    """

    exact = False

    def __init__(self, index: Any, document_ids: Sequence[str], parameters: Callable[[int], Any]) -> None:
        self.document_ids = list(document_ids)
        self.index = index
        self._parameters = parameters
        if index.ntotal != len(self.document_ids):
            raise StorageError(
                f"the index holds {index.ntotal} vectors for {len(self.document_ids)} document ids",
                remedy="build and save the index again",
            )

    def search(self, query_vectors: Vectors, top_k: int) -> list[list[RankedDocument]]:
        """Returns for each row of `query_vectors`, shape (queries, dim), up to `top_k` documents."""
        lists = ranked_documents(self.search_rows(query_vectors, top_k), self.document_ids)
        return [[document for document in documents if document.score > -np.inf] for documents in lists]

    def search_rows(self, query_vectors: Vectors, top_k: int) -> FoundRows:
        """Returns what `search` does as rows; -1 and -inf where the index found fewer."""
        queries = check_queries(query_vectors, self.index.d)
        top_k = min(top_k, len(self.document_ids))
        _, candidates = self.index.search(queries, top_k, params=self._parameters(top_k))
        rows = np.full(candidates.shape, -1, dtype=np.int64)
        scores = np.full(candidates.shape, -np.inf, dtype=np.float32)
        owners, place = np.nonzero(candidates >= 0)
        found = candidates[owners, place]
        exact = exact_scores(self.index.reconstruct_batch, queries, owners, found)
        order = best_first(owners, found, exact, self.document_ids, top_k)
        rows[owners, place] = found[order]
        scores[owners, place] = exact[order]
        return FoundRows(rows, scores)

    def save(self, folder: Path) -> None:
        """Writes FAISS' file into the folder."""
        (folder / _FILE).write_bytes(faiss.serialize_index(self.index).data)


def read_faiss(folder: Path) -> Any:
    """Returns the FAISS index in a folder; raises StorageError where it can't be read."""
    try:
        return faiss.deserialize_index(np.frombuffer((folder / _FILE).read_bytes(), dtype=np.uint8))
    except (OSError, RuntimeError) as error:
        raise StorageError(
            f"{_FILE} can't be read: {error}", where=str(folder), remedy="build and save the index again"
        ) from error
