"""Documents whose vectors were moved by NUDGE: how they are kept, and put where the plain ones are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from embedtune import progress
from embedtune.errors import StorageError
from embedtune.models.encoder import Vectors

__all__ = ["FOLDER", "MovedDocuments", "has_moved_documents", "text_hash", "write_document_vectors"]

FOLDER = "document_vectors"
_TABLE, _INDEX = "vectors.parquet", "index.faiss"
_ABOUT = b"embedtune"
_HASH_BYTES = 16
_ROWS_PER_STEP = 32_768
_UNIT = 1e-3


@dataclass(frozen=True)
class MovedDocuments:
    """Ids, vectors (documents, dim), and a hash of the text that each id stood for."""

    ids: tuple[str, ...]
    vectors: Vectors
    text_hashes: tuple[bytes, ...]

    @classmethod
    def read(cls, model_folder: Path) -> MovedDocuments:
        """Returns the moved documents of a tuned model; raises StorageError where they are damaged."""
        path = model_folder / FOLDER / _TABLE
        try:
            about = json.loads(pq.read_schema(path).metadata[_ABOUT])
            table = pq.read_table(path, columns=["id", "vector", "text_hash"], filters=[("moved", "==", True)])
            ids = tuple(table["id"].to_pylist())
            flat = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            vectors = flat.reshape(len(ids), about["dim"])
            hashes = tuple(table["text_hash"].to_pylist())
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise _damaged(path, str(error).splitlines()[0]) from error
        if len(ids) != about["moved"] or len(set(ids)) != len(ids):
            raise _damaged(path, f"{len(set(ids))} different ids of moved documents, {about['moved']} were written")
        if not np.isfinite(vectors).all():
            raise _damaged(path, "some vectors hold NaN or infinite numbers")
        if not vectors.any(axis=1).all():
            raise _damaged(path, "some vectors are zero in every place")
        return cls(ids, vectors, hashes)

    @cached_property
    def fingerprint(self) -> str:
        """Returns a SHA-256 (hexadecimal) of ids, vectors and text hashes."""
        digest = hashlib.sha256(json.dumps(self.ids).encode())
        digest.update(np.ascontiguousarray(self.vectors).data)
        digest.update(b"".join(self.text_hashes))
        return digest.hexdigest()

    def put_into(self, vectors: Vectors, corpus: Mapping[str, str]) -> Vectors:
        """Returns the corpus's vectors, in its order, with the moved documents' own in their places.

        A document that isn't known, or whose text has changed since, keeps its plain vector.
        """
        place = {document_id: row for row, document_id in enumerate(corpus)}
        known = [row for row, document_id in enumerate(self.ids) if document_id in place]
        same = [row for row in known if text_hash(corpus[self.ids[row]]) == self.text_hashes[row]]
        if len(same) < len(known):
            progress.say(
                f"warning: the texts of {len(known) - len(same)} of {len(known)} moved documents have changed since; "
                "these keep their plain vectors until NUDGE is run again"
            )
        if self.ids and not known:
            progress.say(f"note: none of the {len(self.ids)} moved documents is in this corpus; all vectors are plain")
        result = vectors.copy()
        result[[place[self.ids[row]] for row in same]] = self.vectors[same]
        return result


def has_moved_documents(name: str) -> bool:
    """Returns whether an encoder's name is a tuned model's folder with moved documents, damaged ones among them."""
    return (Path(name).expanduser() / FOLDER).is_dir()


def write_document_vectors(
    model_folder: Path, corpus: Mapping[str, str], vectors: Vectors, moved: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    """Writes every document's vector beside a model and returns what a store has to know about them.

    vectors.parquet has id, vector, moved and text_hash; index.faiss the same vectors in the same
    order, for inner products. Only where all have unit length may a store compare by cosine.
    """
    folder = model_folder / FOLDER
    folder.mkdir()
    lengths = np.concatenate([np.linalg.norm(vectors[rows], axis=1) for rows in _steps(len(vectors))])
    about = {
        "documents": len(vectors),
        "moved": int(moved.sum()),
        "dim": vectors.shape[1],
        "similarity": "cosine" if bool(np.abs(lengths - 1).max() < _UNIT) else "inner product",
    }
    schema = pa.schema(
        {
            "id": pa.string(),
            "vector": pa.list_(pa.float32(), vectors.shape[1]),
            "moved": pa.bool_(),
            "text_hash": pa.binary(_HASH_BYTES),
        },
        metadata={_ABOUT: json.dumps(about)},
    )
    index = faiss.IndexFlatIP(vectors.shape[1])
    ids = list(corpus)
    with pq.ParquetWriter(folder / _TABLE, schema) as writer:
        for rows in _steps(len(ids)):
            part = np.ascontiguousarray(vectors[rows], dtype=np.float32)
            hashes = [text_hash(corpus[document_id]) for document_id in ids[rows]]
            writer.write_table(_table(schema, ids[rows], part, moved[rows], hashes))
            index.add(part)
    faiss.write_index(index, str(folder / _INDEX))
    return about


def text_hash(text: str) -> bytes:
    """Returns 16 bytes that stand for a document's text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES).digest()


def _steps(count: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS_PER_STEP) for start in range(0, count, _ROWS_PER_STEP))


def _table(
    schema: pa.Schema, ids: Sequence[str], vectors: Vectors, moved: npt.NDArray[np.bool_], hashes: Sequence[bytes]
) -> pa.Table:
    flat = pa.array(vectors.ravel(), pa.float32())
    listed = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    return pa.table([ids, listed, moved, pa.array(hashes, pa.binary(_HASH_BYTES))], schema=schema)


def _damaged(path: Path, found: str) -> StorageError:
    return StorageError(
        f"the moved documents are damaged: {found}", where=str(path), remedy="run embedtune train --method nudge again"
    )
