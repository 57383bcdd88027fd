"""The vectors of a block of documents as one Parquet file, at a path or a URL of fsspec: whole, or as good as absent.

Columns id, key (a hash of the text, the cache's) and vector, in the block's order. The footer, which
Parquet writes last, holds the manifest: how the texts were encoded, and a hash over all rows. The
file's name is a hash of the block's ids and texts, its folder's name one of the way of encoding:

    FOLDER/<hash of the way of encoding>/<hash of the block>.parquet
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from fsspec.implementations.local import LocalFileSystem

from embedtune.artifact import write_bytes_whole
from embedtune.errors import StorageError
from embedtune.models.segment import KEY_BYTES, StoredVectors
from embedtune.models.stored import text_keys, way_name

__all__ = ["Shard", "ShardError", "read_shard", "shard_url", "write_shard"]

_ABOUT = b"embedtune"


class ShardError(Exception):
    """A file that isn't a whole shard."""


class Shard(NamedTuple):
    """The documents of a block and their vectors, (documents, dim), float32 or float16."""

    ids: list[str]
    vectors: StoredVectors


def shard_url(folder: str, way: Mapping[str, Any], block: Mapping[str, str]) -> str:
    """Returns where the vectors of a block, document id → text, lie for one way of encoding."""
    digest = hashlib.blake2b(digest_size=16)
    for document_id, key in zip(block, text_keys(list(block.values())), strict=True):
        raw = document_id.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(4, "little") + raw + key.tobytes())
    return f"{folder.rstrip('/')}/{way_name(way)}/{digest.hexdigest()}.parquet"


def write_shard(url: str, block: Mapping[str, str], vectors: StoredVectors, way: Mapping[str, Any]) -> None:
    """Writes the vectors of a block whole; raises StorageError where they can't be written."""
    keys = text_keys(list(block.values()))
    manifest = {"documents": len(block), "digest": _digest(list(block), vectors), "way": way}
    kind = pa.float16() if vectors.dtype == np.float16 else pa.float32()
    columns = {
        "id": pa.array(list(block), pa.string()),
        "key": pa.FixedSizeBinaryArray.from_buffers(pa.binary(KEY_BYTES), len(block), [None, pa.py_buffer(keys)]),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), kind), vectors.shape[1]),
    }
    table = pa.table(columns).replace_schema_metadata({_ABOUT: json.dumps(manifest, ensure_ascii=False)})
    content = pa.BufferOutputStream()
    pq.write_table(table, content, compression="none", use_dictionary=False, row_group_size=max(1, len(block)))
    _write(url, content.getvalue())


def read_shard(url: str) -> Shard:
    """Returns what a shard holds; raises FileNotFoundError, or ShardError where it is cut off or changed."""
    system, path = fsspec.core.url_to_fs(url)
    try:
        with system.open(path, "rb") as file:
            table = pq.ParquetFile(file).read(use_threads=False)
        manifest = json.loads(table.schema.metadata[_ABOUT])
        column = table["vector"].combine_chunks()
        column.validate(full=True)
        flat = column.flatten().to_numpy(zero_copy_only=False)
        shard = Shard(table["id"].to_pylist(), flat.reshape(len(table), column.type.list_size))
        sound = manifest["documents"] == len(table) and manifest["digest"] == _digest(*shard)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise ShardError(str(error).partition("\n")[0]) from error
    if not sound:
        raise ShardError("its rows aren't as they were written")
    return shard


def _write(url: str, content: pa.Buffer) -> None:
    system, path = fsspec.core.url_to_fs(url)
    if isinstance(system, LocalFileSystem):
        write_bytes_whole(Path(path), [content])
        return
    try:
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        system.pipe_file(path, content.to_pybytes())
    except OSError as error:
        raise StorageError(
            f"can't write {url}: {error}", where=url, remedy="everything finished before is intact and will be reused"
        ) from error


def _digest(ids: list[str], vectors: StoredVectors) -> str:
    digest = xxhash.xxh3_128(json.dumps(ids).encode())
    digest.update(np.ascontiguousarray(vectors).data)
    return digest.hexdigest()
