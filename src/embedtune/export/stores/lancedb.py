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
from embedtune.export.vector_store import (
    DocumentBatch,
    StoreOptions,
    check_dim,
    check_fields,
    first_line,
    make_folder,
    not_done,
)
from embedtune.models.encoder import Vectors
from embedtune.search.run import RankedDocument

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


def open_store(options: LanceStoreOptions, dim: int) -> LanceStore:
    """Returns the table, made where it is new; raises StorageError for one of other dimensions."""
    if options.path is None:
        raise OptionsError("no place for the database was named", remedy="name a folder with --path")
    return LanceStore(options, options.path, dim)


class LanceStore:
    """A table with id, text, content_hash and vector; every batch is a version of its own."""

    def __init__(self, options: LanceStoreOptions, path: Path, dim: int) -> None:
        self.index = options.index
        self.exact = options.index == "flat"
        self.place = f"{path} ({options.collection})"
        self._dim = dim
        make_folder(path)
        with self._errors():
            database = lancedb.connect(str(path))
            known = options.collection in _table_names(database)
            make = database.open_table if known else partial(database.create_table, schema=_schema(dim))
            self._table = make(options.collection)
        self._check(options.collection)

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
        """Yields the id and the content hash of every document."""
        with self._errors():
            for batch in self._table.search().select(["id", "content_hash"]).to_batches(_ROWS_AT_ONCE):
                yield from zip(batch["id"].to_pylist(), batch["content_hash"].to_pylist(), strict=True)

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
        listed = ", ".join("'" + document_id.replace("'", "''") + "'" for document_id in ids)
        with self._errors():
            self._table.delete(f"id IN ({listed})")

    def finish(self) -> None:
        """Builds or drops the index, and joins the files of the batches."""
        with self._errors():
            names = [index.name for index in self._table.list_indices() if index.columns == ["vector"]]
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


def _schema(dim: int) -> pa.Schema:
    about = {"embedtune": json.dumps({"similarity": "inner product"})}
    vector = pa.list_(pa.float32(), dim)
    return pa.schema(
        {"id": pa.string(), "text": pa.string(), "content_hash": pa.string(), "vector": vector}, metadata=about
    )
