"""One file of cached vectors: written once, mapped into memory, checked as a whole or row by row.

A safetensors file with `keys` (n, 16), a hash of each text; `vectors` (n, dim), float32 or
float16; `checksums` (n,), a hash over each row's key and vector. Its metadata hold a hash over
all three: where that is right, no row has to be looked at.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash
from safetensors.numpy import save

from embedtune.models.tensor_file import TensorFile, TensorFileError

__all__ = ["KEY_BYTES", "Keys", "Segment", "SegmentError", "StoredVectors", "write_segment"]

KEY_BYTES = 16
_DIGEST = "xxh3_128"
_FEW = 8
"""Fewer than one row in so many is wanted: the rows are checked, not the whole file."""

Keys = npt.NDArray[np.uint8]
StoredVectors = npt.NDArray[np.float32] | npt.NDArray[np.float16]
Checksums = npt.NDArray[np.uint64]


class SegmentError(Exception):
    """A file that isn't a whole segment."""


@dataclass(frozen=True)
class Segment:
    """The tensors of one file, mapped; nothing is read before it is used."""

    keys: Keys
    vectors: StoredVectors
    checksums: Checksums
    digest: str | None
    mapped: mmap.mmap

    @classmethod
    def open(cls, path: Path) -> Segment:
        """Returns the segment in a file; raises SegmentError where its header or size is wrong."""
        try:
            file = TensorFile.open(path)
            keys, vectors, checksums = (file.tensors[name] for name in ("keys", "vectors", "checksums"))
        except (TensorFileError, KeyError) as error:
            raise SegmentError(str(error)) from error
        fits = keys.shape == (len(vectors), KEY_BYTES) and vectors.ndim == 2 and checksums.shape == (len(keys),)
        if not fits or keys.dtype != np.uint8 or checksums.dtype != np.uint64:
            raise SegmentError("its tensors don't fit each other")
        return cls(keys, vectors, checksums, file.metadata.get(_DIGEST), file.mapped)

    def read_ahead(self) -> None:
        """Asks the system to load the file while other work goes on."""
        if hasattr(mmap, "MADV_WILLNEED"):
            self.mapped.madvise(mmap.MADV_WILLNEED)

    def sound(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Returns for each row asked for whether it is as it was written."""
        whole = len(places) * _FEW >= len(self.keys) and self.digest is not None
        if whole and self.digest == _digest(self.keys, self.vectors, self.checksums):
            return np.ones(len(places), dtype=np.bool_)
        return np.asarray(row_checksums(self.keys[places], self.vectors[places]) == self.checksums[places])


def write_segment(path: Path, keys: Keys, vectors: StoredVectors) -> None:
    """Writes a segment down to the disk, so that a rename never precedes its content."""
    tensors: dict[str, npt.NDArray[Any]] = {
        "keys": keys,
        "vectors": vectors,
        "checksums": row_checksums(keys, vectors),
    }
    content = save(tensors, metadata={_DIGEST: _digest(*tensors.values())})
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def row_checksums(keys: Keys, vectors: StoredVectors) -> Checksums:
    """Returns (n,) uint64: XXH3 over each row's key and vector."""
    rows = np.concatenate([keys, np.ascontiguousarray(vectors).view(np.uint8)], axis=1)
    hashes = map(xxhash.xxh3_64_intdigest, rows)
    return np.fromiter(hashes, dtype=np.uint64, count=len(rows))


def _digest(*tensors: npt.NDArray[Any]) -> str:
    digest = xxhash.xxh3_128()
    for tensor in tensors:
        digest.update(tensor.data)
    return digest.hexdigest()
