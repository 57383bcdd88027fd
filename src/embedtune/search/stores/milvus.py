"""Milvus: Milvus Lite in a folder, or with the same code a server or cluster by its address."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from grpc import RpcError
from milvus_lite import MilvusLite
from milvus_lite.exceptions import MilvusLiteError
from milvus_lite.server_manager import server_manager_instance
from pydantic import Field
from pymilvus import DataType, MilvusClient, MilvusException

from embedtune import progress
from embedtune.errors import StorageError
from embedtune.models.encoder import Vectors
from embedtune.search.run import RankedDocument
from embedtune.search.vector_store import (
    COLLECTION_REMEDY,
    DocumentBatch,
    StoredVectors,
    StoreOptions,
    check_dim,
    check_fields,
    chosen_place,
    first_line,
    make_folder,
    no_collection,
    not_done,
    stopped_answering,
)

__all__ = ["OPTIONS", "MilvusStore", "MilvusStoreOptions", "open_store"]

_FILE = "milvus.db"  # Milvus Lite wants this ending
_FIELDS = ("key", "id", "text", "content_hash", "vector")
_LONGEST_BYTES = 65_535
"""Milvus' limit for a text field, in bytes of UTF-8."""
_HASH_BYTES = 64
_KEY_BYTES = 16
_ROWS_AT_ONCE = 1000
_QUERIES_AT_ONCE = 64
_GRAPH = {"M": 32, "efConstruction": 200}
_SEARCH_WIDTH = 200
_TOKEN = "MILVUS_TOKEN"  # noqa: S105  # a variable's name


class MilvusStoreOptions(StoreOptions):
    """Where Milvus is and how it searches; a server's token comes from $MILVUS_TOKEN alone."""

    path: Path | None = Field(default=None, description="Folder for a Milvus Lite database, milvus.db.")
    url: str | None = Field(
        default=None, description="Address of a server or cluster, http://HOST:19530; its token is in $MILVUS_TOKEN."
    )
    index: Literal["flat", "hnsw"] = Field(
        default="flat", description="Of a new collection: flat looks at every document; hnsw is a graph, approximate."
    )
    timeout_s: float = Field(default=30, gt=0, description="Seconds to wait for a server's answer.")


OPTIONS = MilvusStoreOptions


def open_store(options: MilvusStoreOptions, dim: int, *, existing: bool = False) -> MilvusStore:
    """Returns the collection, made where it is new unless `existing`; raises StorageError where it can't be had."""
    place = chosen_place(options.path, options.url)
    if options.path is not None:
        place = str(options.path / _FILE)
        if existing and not Path(place).exists():
            raise no_collection(options.collection, place)
        make_folder(options.path)
    return MilvusStore(options, place, dim, existing=existing)


class MilvusStore:
    """A collection with key, id, text, content_hash and vector, compared by inner product.

    The key is a hash of the id: the client doesn't escape quotes in keys when it pages or deletes.
    """

    def __init__(self, options: MilvusStoreOptions, place: str, dim: int, *, existing: bool) -> None:
        self.place = f"{place} ({options.collection})"
        self._name = options.collection
        self._dim = dim
        self._timeout_s = options.timeout_s
        self._remote = options.url is not None
        self._file = place
        for library in ("pymilvus", "milvus_lite"):  # they print tracebacks of what is raised anyway
            logging.getLogger(library).setLevel(logging.CRITICAL)
        with self._errors():
            token = os.environ.get(_TOKEN, "") if self._remote else ""
            self._client = MilvusClient(place, token=token, timeout=options.timeout_s)
        try:
            with self._errors():
                self._open(dim, None if existing else options.index)
        except BaseException:
            self.close()
            raise

    def _why_shut(self) -> str | None:
        """Returns why the database can't be opened; the client itself doesn't say."""
        if hasattr(self, "_client"):
            return None
        try:
            MilvusLite(self._file).close()
        except (MilvusLiteError, OSError, ValueError) as error:
            return first_line(error)
        return None

    def _open(self, dim: int, index: str | None) -> None:
        """Opens the collection, or makes one with that index if any."""
        if not self._client.has_collection(self._name, timeout=self._timeout_s):
            if index is None:
                raise no_collection(self._name, self.place)
            self._create(dim, index)
        self._client.load_collection(self._name, timeout=self._timeout_s)
        self._check(dim)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turns what the client raises into a StorageError."""
        try:
            yield
        except (MilvusException, RpcError, OSError) as error:
            words = _words_of(error)
            if self._remote:
                raise stopped_answering("Milvus", self.place, self._timeout_s, words) from None
            raise not_done("Milvus Lite", self.place, self._why_shut() or words) from error

    def _create(self, dim: int, index: str) -> None:
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=2 * _KEY_BYTES)
        schema.add_field("id", DataType.VARCHAR, max_length=_LONGEST_BYTES)
        schema.add_field("text", DataType.VARCHAR, max_length=_LONGEST_BYTES)
        schema.add_field("content_hash", DataType.VARCHAR, max_length=_HASH_BYTES)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
        parameters = self._client.prepare_index_params()
        graph = _GRAPH if index == "hnsw" else {}
        parameters.add_index("vector", index_type=index.upper(), metric_type="IP", params=graph)
        self._client.create_collection(
            self._name,
            schema=schema,
            index_params=parameters,
            consistency_level="Strong",
            timeout=self._timeout_s,
        )

    def _check(self, dim: int) -> None:
        fields = {field["name"]: field for field in self._client.describe_collection(self._name)["fields"]}
        check_fields(fields, _FIELDS, self._name, self.place)
        check_dim(int(fields["vector"]["params"].get("dim", 0)), dim, self._name, self.place)
        index: dict[str, Any] = self._client.describe_index(self._name, "vector") or {}
        self.index = str(index.get("index_type", "none")).lower()
        self.exact = self.index == "flat"
        metric = index.get("metric_type", "none")
        if metric != "IP":
            raise StorageError(
                f"the collection {self._name!r} compares by {metric}, expected inner products (IP)",
                where=self.place,
                remedy=COLLECTION_REMEDY,
            )

    def content_hashes(self) -> Iterator[tuple[str, str]]:
        """Yields the id and the stamp of every document."""
        for page in self._pages("content_hash"):
            yield from ((row["id"], row["content_hash"]) for row in page)

    def vectors(self) -> Iterator[StoredVectors]:
        """Yields all documents."""
        for page in self._pages("vector"):
            yield _stored(page, self._dim)

    def fetch(self, ids: Sequence[str]) -> StoredVectors:
        """Returns those of these documents that are there."""
        rows: list[Any] = []
        for start in range(0, len(ids), _ROWS_AT_ONCE):
            with self._errors():
                rows += self._client.get(
                    self._name,
                    ids=[_key(document_id) for document_id in ids[start : start + _ROWS_AT_ONCE]],
                    output_fields=["id", "vector"],
                    consistency_level="Strong",
                    timeout=self._timeout_s,
                )
        return _stored(rows, self._dim)

    def _pages(self, field: str) -> Iterator[Any]:
        """Yields the rows of all documents, ids and a field, a page at a time."""
        with self._errors():
            pages = self._client.query_iterator(
                self._name,
                batch_size=_ROWS_AT_ONCE,
                filter="",
                output_fields=["id", field],
                consistency_level="Strong",
                timeout=self._timeout_s,
            )
            try:
                while page := pages.next():
                    yield page
            finally:
                pages.close()

    def write(self, batch: DocumentBatch, *, replacing: bool) -> None:
        """Upserts the documents; texts over Milvus' limit are kept cut, which is said."""
        texts = [_cut(text) for text in batch.texts]
        cut = [
            document_id for document_id, kept, text in zip(batch.ids, texts, batch.texts, strict=True) if kept != text
        ]
        if cut:
            progress.say(f"note: Milvus keeps {_LONGEST_BYTES} bytes of a text; {len(cut)} are cut, such as {cut[0]}")
        rows = [
            {"key": _key(document_id), "id": document_id, "text": text, "content_hash": digest, "vector": vector}
            for document_id, text, digest, vector in zip(
                batch.ids, texts, batch.content_hashes, batch.vectors, strict=True
            )
        ]
        with self._errors():
            self._client.upsert(self._name, rows, timeout=self._timeout_s)

    def delete(self, ids: Sequence[str]) -> None:
        """Removes the documents of these ids."""
        with self._errors():
            self._client.delete(self._name, ids=[_key(document_id) for document_id in ids], timeout=self._timeout_s)

    def finish(self) -> None:
        """Has the server seal what was written."""
        with self._errors():
            self._client.flush(self._name, timeout=self._timeout_s)

    def search(self, query_vectors: Vectors, top_k: int) -> list[list[RankedDocument]]:
        """Returns what Milvus finds."""
        width = {"ef": max(_SEARCH_WIDTH, top_k)} if self.index == "hnsw" else {}
        found: list[list[RankedDocument]] = []
        for start in range(0, len(query_vectors), _QUERIES_AT_ONCE):
            with self._errors():
                hits = self._client.search(
                    self._name,
                    data=list(query_vectors[start : start + _QUERIES_AT_ONCE]),
                    anns_field="vector",
                    limit=top_k,
                    search_params={"metric_type": "IP", "params": width},
                    output_fields=["id"],
                    consistency_level="Strong",
                    timeout=self._timeout_s,
                )
            found += [[RankedDocument(hit["entity"]["id"], hit["distance"]) for hit in row] for row in hits]
        return found

    def close(self) -> None:
        """Closes the connection, and Milvus Lite, which the client would leave open until the process ends."""
        self._client.close()
        if not self._remote:
            server_manager_instance.release_server(self._file)


def _key(document_id: str) -> str:
    return hashlib.blake2b(document_id.encode(), digest_size=_KEY_BYTES).hexdigest()


def _words_of(error: Exception) -> str:
    """Returns what an error says; some calls let those of gRPC through."""
    if isinstance(error, MilvusException):
        return str(error.message)
    details = getattr(error, "details", None)
    return str(details()) if callable(details) else first_line(error)


def _stored(rows: Sequence[Any], dim: int) -> StoredVectors:
    vectors = np.array([row["vector"] for row in rows], dtype=np.float32)
    return StoredVectors([row["id"] for row in rows], vectors.reshape(-1, dim))


def _cut(text: str) -> str:
    """Returns as much of a text as Milvus takes, in whole characters."""
    encoded = text.encode()
    return text if len(encoded) <= _LONGEST_BYTES else encoded[:_LONGEST_BYTES].decode(errors="ignore")
