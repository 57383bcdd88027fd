"""A FAISS index and a Parquet table of its documents, in a folder: no server, no other package."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from embedtune.artifact import Artifact, disk_errors, write_bytes_whole
from embedtune.errors import OptionsError, StorageError
from embedtune.models.encoder import Vectors
from embedtune.search.run import RankedDocument
from embedtune.search.vector_store import (
    COLLECTION_REMEDY,
    DocumentBatch,
    StoredVectors,
    StoreOptions,
    check_dim,
    make_folder,
    no_collection,
)

__all__ = ["FAISS_COLLECTION", "OPTIONS", "FaissStore", "FaissStoreOptions", "open_store"]

FAISS_COLLECTION = "faiss-collection"
_INDEX, _TABLE = "index.faiss", "documents.parquet"
_ROWS_AT_ONCE = 8192
_SCHEMA = pa.schema({"id": pa.string(), "text": pa.string(), "content_hash": pa.string()})


class FaissStoreOptions(StoreOptions):
    """Where the folder is and which index it holds."""

    path: Path | None = Field(default=None, description="Folder that the collection's folder is in.")
    index: Literal["flat", "hnsw"] = Field(
        default="flat", description="flat looks at every document; hnsw is a graph, faster and approximate."
    )


OPTIONS = FaissStoreOptions


def open_store(options: FaissStoreOptions, dim: int, *, existing: bool = False) -> FaissStore:
    """Returns the collection in the folder, made where it is new; raises StorageError for one of other dimensions.

    With `existing` it has to be there, and whole.
    """
    if options.path is None:
        raise OptionsError("no place for the collection was named", remedy="name a folder with --path")
    if existing:
        return _open_existing(options, options.path, dim)
    make_folder(options.path)
    return FaissStore(options, options.path, dim)


def _open_existing(options: FaissStoreOptions, path: Path, dim: int) -> FaissStore:
    if not (path / options.collection).is_dir():
        raise no_collection(options.collection, str(path))
    store = FaissStore(options, path, dim)
    store.look_as_built()
    return store


class FaissStore:
    """A folder with index.faiss and documents.parquet, whose rows are those of the index.

    Batches lie in a folder beside it until `finish` puts all of them into a new folder, whole.
    """

    def __init__(self, options: FaissStoreOptions, path: Path, dim: int) -> None:
        self.index = options.index
        self.exact = options.index == "flat"
        self.place = str(path / options.collection)
        self._folder = path / options.collection
        self._parts = path / f".{options.collection}.parts"
        self._dim = dim
        self._index: Any = None
        self._take_ids([])
        if self._folder.exists():
            self._read(options.collection)
        for part in self._part_files():
            check_dim(pq.read_schema(part).field("vector").type.list_size, dim, options.collection, str(part))

    def _read(self, collection: str) -> None:
        manifest = Artifact.open(self._folder, FAISS_COLLECTION).manifest
        self._built = manifest["made_from"]["index"]
        try:
            self._index = faiss.read_index(str(self._folder / _INDEX))
            self._take_ids(pq.read_table(self._folder / _TABLE, columns=["id"])["id"].to_pylist())
        except (OSError, RuntimeError, KeyError) as error:
            raise self._damaged(str(error)) from error
        if self._index.ntotal != len(self._ids):
            raise self._damaged(f"{self._index.ntotal} vectors for {len(self._ids)} documents")
        check_dim(self._index.d, self._dim, collection, self.place)

    def _take_ids(self, ids: list[str]) -> None:
        self._ids = ids
        self._row_of = {document_id: row for row, document_id in enumerate(ids)}

    def look_as_built(self) -> None:
        """Takes the index as it was built, to search it; raises StorageError where a publish was cut short."""
        if self._part_files():
            raise StorageError(
                "not all that was written to the collection can be found: a publish was cut short",
                where=self.place,
                remedy="run embedtune publish again, which goes on where it stopped",
            )
        self.index = self._built
        self.exact = self.index == "flat"

    def _damaged(self, found: str) -> StorageError:
        return StorageError(f"the collection is damaged: {found}", where=self.place, remedy=COLLECTION_REMEDY)

    def _part_files(self) -> list[Path]:
        return sorted(self._parts.glob("part-*.parquet"))

    def content_hashes(self) -> Iterator[tuple[str, str]]:
        """Yields the id and the content hash of every document; later batches win."""
        hashes: dict[str, str] = {}
        if self._index is not None:
            table = pq.read_table(self._folder / _TABLE, columns=["id", "content_hash"])
            hashes.update(zip(table["id"].to_pylist(), table["content_hash"].to_pylist(), strict=True))
        for part in self._part_files():
            table = pq.read_table(part, columns=["id", "content_hash"])
            for document_id, digest in zip(table["id"].to_pylist(), table["content_hash"].to_pylist(), strict=True):
                if digest is None:
                    hashes.pop(document_id, None)
                else:
                    hashes[document_id] = digest
        yield from hashes.items()

    def vectors(self) -> Iterator[StoredVectors]:
        """Yields the documents of the index, in its order."""
        for start in range(0, len(self._ids), _ROWS_AT_ONCE):
            ids = self._ids[start : start + _ROWS_AT_ONCE]
            yield StoredVectors(ids, self._index.reconstruct_n(start, len(ids)).reshape(-1, self._dim))

    def fetch(self, ids: Sequence[str]) -> StoredVectors:
        """Returns those of these documents that are there."""
        there = [document_id for document_id in ids if document_id in self._row_of]
        rows = np.array([self._row_of[document_id] for document_id in there], dtype=np.int64)
        return StoredVectors(there, self._index.reconstruct_batch(rows).reshape(-1, self._dim))

    def write(self, batch: DocumentBatch, *, replacing: bool) -> None:
        """Writes one more file of documents."""
        self._add_part(batch.ids, batch.texts, batch.content_hashes, batch.vectors)

    def delete(self, ids: Sequence[str]) -> None:
        """Writes one more file that says what goes."""
        nothing = [None] * len(ids)
        self._add_part(ids, nothing, nothing, np.zeros((len(ids), self._dim), dtype=np.float32))

    def _add_part(
        self, ids: Sequence[str], texts: Sequence[str | None], digests: Sequence[str | None], vectors: Vectors
    ) -> None:
        flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
        listed = pa.FixedSizeListArray.from_arrays(flat, self._dim)
        schema = _SCHEMA.append(pa.field("vector", listed.type))
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table([ids, texts, digests, listed], schema=schema), sink)
        number = len(self._part_files()) + 1
        write_bytes_whole(self._parts / f"part-{number:08d}.parquet", [sink.getvalue().to_pybytes()])

    def finish(self) -> None:
        """Puts the batches into a new folder in the old one's place."""
        parts = self._part_files()
        if self._index is not None and not parts and self._built == self.index:
            return
        table, vectors = self._merged(parts)
        self._take_ids(table["id"].to_pylist())
        self._index = self._build(vectors)
        made_from = {"index": self.index, "documents": len(self._ids), "dim": self._dim, "similarity": "inner product"}
        with Artifact.create(self._folder, FAISS_COLLECTION, made_from, overwrite=True) as temporary:
            faiss.write_index(self._index, str(temporary / _INDEX))
            pq.write_table(table, temporary / _TABLE)
        self._built = self.index
        with disk_errors(self._parts):
            shutil.rmtree(self._parts, ignore_errors=not self._parts.exists())

    def _merged(self, parts: Sequence[Path]) -> tuple[pa.Table, Vectors]:
        """Returns every document once, by the last file that has it, and its vectors in the same order."""
        tables = [pq.read_table(part, columns=_SCHEMA.names) for part in parts]
        blocks = [_vectors_of(part, self._dim) for part in parts]
        if self._index is not None:
            tables.insert(0, pq.read_table(self._folder / _TABLE, columns=_SCHEMA.names))
            blocks.insert(0, self._index.reconstruct_n(0, self._index.ntotal).reshape(-1, self._dim))
        whole = pa.concat_tables(tables) if tables else _SCHEMA.empty_table()
        row_of = {document_id: row for row, document_id in enumerate(whole["id"].to_pylist())}
        there = whole["content_hash"].is_valid().to_numpy()
        rows = np.array([row for row in row_of.values() if there[row]], dtype=np.int64)
        empty = np.empty((0, self._dim), dtype=np.float32)
        return whole.take(pa.array(rows)), np.concatenate([empty, *blocks])[rows]

    def _build(self, vectors: Vectors) -> Any:
        if self.index == "hnsw" and len(vectors):
            from embedtune.search.index import build_index  # loads torch, which help texts don't need (design/0003)

            return build_index("faiss-hnsw", vectors, self._ids).index  # type: ignore[attr-defined]
        index = faiss.IndexFlatIP(self._dim)
        index.add(vectors)
        return index

    def search(self, query_vectors: Vectors, top_k: int) -> list[list[RankedDocument]]:
        """Returns what FAISS finds."""
        scores, rows = self._index.search(np.ascontiguousarray(query_vectors, dtype=np.float32), top_k)
        return [
            [RankedDocument(self._ids[row], score) for row, score in zip(found, values, strict=True) if row >= 0]
            for found, values in zip(rows.tolist(), scores.tolist(), strict=True)
        ]

    def close(self) -> None:
        """Lets go of the index."""
        self._index = None


def _vectors_of(part: Path, dim: int) -> Vectors:
    column = pq.read_table(part, columns=["vector"])["vector"].combine_chunks()
    flat: Vectors = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, dim)
