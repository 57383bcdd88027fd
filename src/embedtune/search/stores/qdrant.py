"""Qdrant: a server by its address, or the client's own local mode in a folder, which is for trying out."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException

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
    chosen_place,
    first_line,
    make_folder,
    no_collection,
    not_done,
    stopped_answering,
)

__all__ = ["OPTIONS", "QdrantStore", "QdrantStoreOptions", "open_store"]

_ROWS_AT_ONCE = 1000
_QUERIES_AT_ONCE = 64
_POINTS = uuid.UUID("6f1f2c0e-58a4-5f0e-9b36-0e8f4f8f6d11")
"""The name space of point ids; Qdrant takes no texts as ids."""
_KEY = "QDRANT_API_KEY"


class QdrantStoreOptions(StoreOptions):
    """Where Qdrant is; a server's key comes from $QDRANT_API_KEY alone."""

    path: Path | None = Field(
        default=None, description="Folder of the client's local mode: for trying out, one commit a document."
    )
    url: str | None = Field(
        default=None, description="Address of a server, http://HOST:6333; its key is in $QDRANT_API_KEY."
    )
    timeout_s: int = Field(default=30, gt=0, description="Seconds to wait for a server's answer.")


OPTIONS = QdrantStoreOptions


def open_store(options: QdrantStoreOptions, dim: int, *, existing: bool = False) -> QdrantStore:
    """Returns the collection, made where it is new unless `existing`; raises StorageError where it can't be had."""
    place = chosen_place(options.path, options.url)
    if existing and options.path is not None and not options.path.is_dir():
        raise no_collection(options.collection, place)
    return QdrantStore(options, place, dim, existing=existing)


class QdrantStore:
    """A collection of points whose payload has id, text and content_hash, compared by inner product."""

    def __init__(self, options: QdrantStoreOptions, place: str, dim: int, *, existing: bool) -> None:
        local = options.path is not None
        self.place = f"{place} ({options.collection}{', local mode' if local else ''})"
        self.index = "flat" if local else "hnsw"
        self.exact = local
        self._name = options.collection
        self._dim = dim
        self._timeout_s = options.timeout_s
        with self._errors():
            self._client = _connect(options)
        try:
            with self._errors():
                if not self._client.collection_exists(self._name):
                    if existing:
                        raise no_collection(self._name, self.place)
                    kind = models.VectorParams(size=dim, distance=models.Distance.DOT)
                    self._client.create_collection(self._name, vectors_config=kind)
                found = self._client.get_collection(self._name).config.params.vectors
            self._check(found, dim)
        except BaseException:
            self._client.close()
            raise
        if local:
            progress.say("note: Qdrant's local mode is for trying out; --url names a server")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turns what the client raises into a StorageError; local mode raises classes of Python's own."""
        try:
            yield
        except ApiException as error:
            raise stopped_answering("Qdrant", self.place, self._timeout_s, first_line(error)) from None
        except (OSError, RuntimeError, ValueError) as error:
            raise not_done("Qdrant", self.place, first_line(error)) from error

    def _check(self, found: Any, dim: int) -> None:
        if not isinstance(found, models.VectorParams) or found.distance != models.Distance.DOT:
            how = found.distance if isinstance(found, models.VectorParams) else "named vectors"
            raise StorageError(
                f"the collection {self._name!r} compares by {how}, expected one vector and inner products (Dot)",
                where=self.place,
                remedy=COLLECTION_REMEDY,
            )
        check_dim(found.size, dim, self._name, self.place)

    def content_hashes(self) -> Iterator[tuple[str, str]]:
        """Yields the id and the stamp of every document."""
        for records in self._pages("content_hash"):
            yield from ((record.payload["id"], record.payload.get("content_hash", "")) for record in records)

    def vectors(self) -> Iterator[StoredVectors]:
        """Yields all documents."""
        for records in self._pages(None):
            yield _stored(records, self._dim)

    def fetch(self, ids: Sequence[str]) -> StoredVectors:
        """Returns those of these documents that are there."""
        records: list[Any] = []
        for start in range(0, len(ids), _ROWS_AT_ONCE):
            points = [_point(document_id) for document_id in ids[start : start + _ROWS_AT_ONCE]]
            with self._errors():
                records += self._client.retrieve(self._name, ids=points, with_payload=["id"], with_vectors=True)
        return _stored(records, self._dim)

    def _pages(self, field: str | None) -> Iterator[list[Any]]:
        """Yields all points that have an id, with a field or else with their vectors, a page at a time."""
        following: Any = None
        while True:
            with self._errors():
                records, following = self._client.scroll(
                    self._name,
                    limit=_ROWS_AT_ONCE,
                    offset=following,
                    with_payload=["id"] if field is None else ["id", field],
                    with_vectors=field is None,
                )
            yield [record for record in records if "id" in (record.payload or {})]
            if following is None:
                return

    def write(self, batch: DocumentBatch, *, replacing: bool) -> None:
        """Upserts the documents."""
        payloads = [
            {"id": document_id, "text": text, "content_hash": digest}
            for document_id, text, digest in zip(batch.ids, batch.texts, batch.content_hashes, strict=True)
        ]
        points = models.Batch(
            ids=[_point(document_id) for document_id in batch.ids], vectors=batch.vectors.tolist(), payloads=payloads
        )
        with self._errors():
            self._client.upsert(self._name, points=points, wait=True)

    def delete(self, ids: Sequence[str]) -> None:
        """Removes the documents of these ids."""
        points = models.PointIdsList(points=[_point(document_id) for document_id in ids])
        with self._errors():
            self._client.delete(self._name, points_selector=points, wait=True)

    def finish(self) -> None:
        """Does nothing: Qdrant indexes on its own, and searches what isn't indexed yet one by one."""

    def search(self, query_vectors: Vectors, top_k: int) -> list[list[RankedDocument]]:
        """Returns what Qdrant finds."""
        found: list[list[RankedDocument]] = []
        for start in range(0, len(query_vectors), _QUERIES_AT_ONCE):
            requests = [
                models.QueryRequest(query=query, limit=top_k, with_payload=["id"])
                for query in query_vectors[start : start + _QUERIES_AT_ONCE].tolist()
            ]
            with self._errors():
                answers = self._client.query_batch_points(self._name, requests=requests)
            found += [[_ranked(point) for point in answer.points] for answer in answers]
        return found

    def close(self) -> None:
        """Closes the connection or the folder."""
        self._client.close()


def _connect(options: QdrantStoreOptions) -> QdrantClient:
    if options.path is not None:
        make_folder(options.path)
        return QdrantClient(path=str(options.path))
    key = os.environ.get(_KEY)
    if key and str(options.url).startswith("http:"):
        progress.say("warning: the key goes over an unencrypted connection; https:// encrypts it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # says the same
        return QdrantClient(
            url=options.url,
            api_key=key,
            timeout=options.timeout_s,
            check_compatibility=False,  # asks the server on its own time and only warns
        )


def _point(document_id: str) -> str:
    return str(uuid.uuid5(_POINTS, document_id))


def _stored(records: Sequence[Any], dim: int) -> StoredVectors:
    vectors = np.array([record.vector for record in records], dtype=np.float32)
    return StoredVectors([record.payload["id"] for record in records], vectors.reshape(-1, dim))


def _ranked(point: Any) -> RankedDocument:
    payload = point.payload or {}
    return RankedDocument(payload.get("id", str(point.id)), point.score)
