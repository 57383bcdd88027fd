"""Safetensors files as memory maps: nothing is read before it is used."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["TensorFile", "TensorFileError", "write_rows"]

_DTYPES: dict[str, np.dtype[Any]] = {
    "U8": np.dtype(np.uint8),
    "U64": np.dtype(np.uint64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype("f2"),
}
_LONGEST_HEADER = 1_000_000


class TensorFileError(Exception):
    """A file that isn't a whole safetensors file of the types known here."""


@dataclass(frozen=True)
class TensorFile:
    """The tensors of one file by name, and its metadata."""

    tensors: Mapping[str, npt.NDArray[Any]]
    metadata: Mapping[str, str]
    mapped: mmap.mmap

    @classmethod
    def open(cls, path: Path) -> TensorFile:
        """Returns the mapped file; raises TensorFileError where its header or size is wrong."""
        try:
            with path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            start = 8 + int.from_bytes(mapped[:8], "little")
            if start > 8 + _LONGEST_HEADER:
                raise TensorFileError("its header is too long")
            header = json.loads(mapped[8:start])
            metadata = header.pop("__metadata__", {})
            tensors = {name: _tensor(mapped, start, entry) for name, entry in header.items()}
            size = sum(tensor.nbytes for tensor in tensors.values())
            if start + size != len(mapped):
                raise TensorFileError(f"it has {len(mapped)} bytes, expected {start + size}")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise TensorFileError(str(error)) from error
        return cls(tensors, metadata if isinstance(metadata, dict) else {}, mapped)


def write_rows(path: Path, name: str, dtype: np.dtype[Any], shape: tuple[int, int], blocks: Iterable[Any]) -> None:
    """Writes one tensor of float32 or float16 from blocks of its rows."""
    code = next(code for code, known in _DTYPES.items() if known == dtype)
    entry = {"dtype": code, "shape": list(shape), "data_offsets": [0, prod(shape) * dtype.itemsize]}
    header = json.dumps({name: entry}).encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for block in blocks:
            file.write(np.ascontiguousarray(block).data)


def _tensor(mapped: mmap.mmap, start: int, entry: dict[str, Any]) -> npt.NDArray[Any]:
    """Returns the array that a header's entry describes; raises ValueError where it lies outside."""
    dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
    first, last = entry["data_offsets"]
    if last - first != prod(shape) * dtype.itemsize or first < 0:
        raise ValueError("a tensor's place and shape don't fit")
    tensor: npt.NDArray[Any] = np.frombuffer(mapped, dtype=dtype, count=prod(shape), offset=start + first)
    return tensor.reshape(shape)
