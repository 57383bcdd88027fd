"""A LanceDB table on disk: embedded, columnar, searched without a server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import IvfFlat
from pydantic import Field

from embedtune.errors import OptionsError
from embedtune.models.encoder import Vectors
from embedtune.search.run import RankedDocument
from embedtune.search.vector_store import (
    DocumentBatch,
    StoredVectors,
    StoreOptions,
    check_dim,
    check_fields,
    first_line,
    make_folder,
    no_collection,
    not_done,
)

__all__ = ["OPTIONS", "LanceStore", "LanceStoreOptions", "open_store"]

_FIELDS = ("id", "text", "content_hash", "vector")
_ROWS_AT_ONCE = 8192
_LEAST_FOR_IVF = 256


class LanceStoreOptions(StoreOptions):
    """Where the database is and how it searches."""

    path: Path | None = Field(default=None, description="Folder of the database.")
    index: Literal["flat", "ivf"] = Field(
        default="flat",
        description="flat looks at every document; ivf visits the nearest clusters, faster and approximate.",
    )


OPTIONS = LanceStoreOptions


def open_store(options: LanceStoreOptions, dim: int, *, existing: bool = False) -> LanceStore:
    """Returns the table, made where it is new unless `existing`; raises StorageError for one of other dimensions."""
    if options.path is None:
        raise OptionsError("no place for the database was named", remedy="name a folder with --path")
    if existing and not options.path.is_dir():
        raise no_collection(options.collection, str(options.path))
    return LanceStore(options, options.path, dim, existing=existing)


class LanceStore:
    """A table with id, text, content_hash and vector; every batch is a version of its own."""

    def __init__(self, options: LanceStoreOptions, path: Path, dim: int, *, existing: bool) -> None:
        self.index: str = options.index
        self.place = f"{path} ({options.collection})"
        self._dim = dim
        make_folder(path)
        with self._errors():
            database = lancedb.connect(str(path))
            known = options.collection in _table_names(database)
            if existing and not known:
                raise no_collection(options.collection, self.place)
            make = database.open_table if known else partial(database.create_table, schema=_schema(dim))
            self._table = make(options.collection)
            if existing:
                self.index = "ivf" if self._built() else "flat"
        self.exact = self.index == "flat"
        self._check(options.collection)

    def _built(self) -> list[str]:
        """Returns the names of the indexes of the vectors."""
        return [index.name for index in self._table.list_indices() if index.columns == ["vector"]]

    def _check(self, collection: str) -> None:
        schema = self._table.schema
        check_fields(schema.names, _FIELDS, collection, self.place)
        kind = schema.field("vector").type
        check_dim(kind.list_size if pa.types.is_fixed_size_list(kind) else 0, self._dim, collection, self.place)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turns what LanceDB raises into a StorageError; its errors have no class of their own."""
        try:
            yield
        except (OSError, RuntimeError, ValueError) as error:
            raise not_done("LanceDB", self.place, first_line(error)) from error

    def content_hashes(self) -> Iterator[tuple[str, str]]:
        """Yields the id and the stamp of every document."""
        for batch in self._batches("content_hash"):
            yield from zip(batch["id"].to_pylist(), batch["content_hash"].to_pylist(), strict=True)

    def vectors(self) -> Iterator[StoredVectors]:
        """Yields all documents."""
        for batch in self._batches("vector"):
            yield self._stored(batch)

    def fetch(self, ids: Sequence[str]) -> StoredVectors:
        """Returns those of these documents that are there."""
        parts = [
            self._stored(batch)
            for start in range(0, len(ids), _ROWS_AT_ONCE)
            for batch in self._batches("vector", where=_among(ids[start : start + _ROWS_AT_ONCE]))
        ]
        vectors = [np.empty((0, self._dim), dtype=np.float32), *(part.vectors for part in parts)]
        return StoredVectors([document_id for part in parts for document_id in part.ids], np.concatenate(vectors))

    def _batches(self, field: str, where: str | None = None) -> Iterator[pa.RecordBatch]:
        """Yields ids and a field, of all documents or of some."""
        with self._errors():
            query = self._table.search().select(["id", field])
            yield from (query if where is None else query.where(where)).to_batches(_ROWS_AT_ONCE)

    def _stored(self, batch: pa.RecordBatch) -> StoredVectors:
        flat = batch["vector"].flatten().to_numpy(zero_copy_only=False)
        return StoredVectors(batch["id"].to_pylist(), flat.reshape(-1, self._dim))

    def write(self, batch: DocumentBatch, *, replacing: bool) -> None:
        """Adds the documents, or puts them in the place of those with their ids."""
        flat = pa.array(np.ascontiguousarray(batch.vectors, dtype=np.float32).ravel())
        listed = pa.FixedSizeListArray.from_arrays(flat, self._dim)
        rows = pa.table([batch.ids, batch.texts, batch.content_hashes, listed], schema=_schema(self._dim))
        with self._errors():
            if replacing:
                self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(rows)
            else:
                self._table.add(rows)

    def delete(self, ids: Sequence[str]) -> None:
        """Removes the documents of these ids."""
        with self._errors():
            self._table.delete(_among(ids))

    def finish(self) -> None:
        """Builds or drops the index, and joins the files of the batches."""
        with self._errors():
            names = self._built()
            if self.exact:
                for name in names:
                    self._table.drop_index(name)
            elif not names and self._table.count_rows() >= _LEAST_FOR_IVF:
                self._table.create_index("vector", config=IvfFlat(distance_type="dot"))
            self._table.optimize()

    def search(self, query_vectors: Vectors, top_k: int) -> list[list[RankedDocument]]:
        """Returns what LanceDB finds; its distance is 1 minus the inner product."""
        return [self._search_one(query, top_k) for query in query_vectors]

    def _search_one(self, query: Vectors, top_k: int) -> list[RankedDocument]:
        with self._errors():
            search = self._table.search(query).distance_type("dot").limit(top_k).select(["id", "_distance"])
            found = search.to_arrow()
        scores = 1.0 - found["_distance"].to_numpy().astype(np.float64)
        return [RankedDocument(*pair) for pair in zip(found["id"].to_pylist(), scores.tolist(), strict=True)]

    def close(self) -> None:
        """Does nothing: every batch is on disk."""


def _table_names(database: Any) -> list[str]:
    names: list[str] = []
    page = None
    while True:
        listed = database.list_tables(page_token=page)
        names += listed.tables
        page = listed.page_token
        if not page:
            return names


def _among(ids: Sequence[str]) -> str:
    """Returns the condition that a document is one of these."""
    return "id IN (" + ", ".join("'" + document_id.replace("'", "''") + "'" for document_id in ids) + ")"


def _schema(dim: int) -> pa.Schema:
    about = {"embedtune": json.dumps({"similarity": "inner product"})}
    vector = pa.list_(pa.float32(), dim)
    return pa.schema(
        {"id": pa.string(), "text": pa.string(), "content_hash": pa.string(), "vector": vector}, metadata=about
    )
