"""Inner products of blocks in bfloat16 where the CPU has it, with a bound on their error.

Half the bits are twice the speed. The bound is rigorous: for rounded q' and d',
|q·d - q'·d'| ≤ |q - q'| |d| + |q'| |d - d'| (Cauchy-Schwarz), where |q - q'| and |d - d'| are
measured, plus what accumulating in float32 and rounding the result can add.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from embedtune.models.encoder import Vectors

__all__ = ["GROUP", "CoarseVectors", "computes_in_bfloat16", "products", "slack"]

GROUP = 16
"""Documents whose largest product is looked at first; a block's width is a multiple of it."""
_ACCUMULATED = 2.0**-23
_ROUNDED = 2.0**-8 * 1.01
_SMALLEST = 2.0**-125
_MEASURED = 1.0001


def computes_in_bfloat16() -> bool:
    """Returns whether this CPU multiplies bfloat16 matrices faster than float32 ones."""
    abilities = torch.cpu.get_capabilities()
    return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))


@dataclass(frozen=True)
class CoarseVectors:
    """Rows as they are multiplied: `values` (rows, dim), the rows' lengths, and how far rounding moved each."""

    values: torch.Tensor | Vectors
    lengths: Vectors
    moved: Vectors

    @classmethod
    def rounded(cls, vectors: npt.NDArray[Any], lengths: Vectors) -> CoarseVectors:
        """Returns the vectors in bfloat16."""
        exact = torch.from_numpy(np.array(vectors, dtype=np.float32))
        values = exact.bfloat16()
        moved = torch.linalg.vector_norm(exact.sub_(values), dim=1)
        return cls(values, lengths * np.float32(_MEASURED), moved.numpy() * np.float32(_MEASURED))

    @classmethod
    def unrounded(cls, vectors: npt.NDArray[Any], lengths: Vectors) -> CoarseVectors:
        """Returns the vectors in float32, without a copy where they are float32 already."""
        values = np.asarray(vectors, dtype=np.float32)
        return cls(values, lengths * np.float32(_MEASURED), np.zeros_like(lengths))

    def __getitem__(self, rows: slice) -> CoarseVectors:
        return CoarseVectors(self.values[rows], self.lengths[rows], self.moved[rows])

    def __len__(self) -> int:
        return len(self.lengths)


def products(queries: CoarseVectors, documents: CoarseVectors) -> torch.Tensor:
    """Returns (queries, documents rounded up to GROUP) products; -inf where there is no document."""
    rows, columns = len(queries), len(documents)
    width = -(-columns // GROUP) * GROUP
    if isinstance(queries.values, torch.Tensor) and isinstance(documents.values, torch.Tensor):
        tile = torch.empty((rows, width), dtype=torch.bfloat16)
        torch.mm(queries.values, documents.values.T, out=tile[:, :columns])
    else:
        tile = torch.empty((rows, width), dtype=torch.float32)
        np.matmul(queries.values, documents.values.T, out=tile.numpy()[:, :columns])
    tile[:, columns:] = -torch.inf
    return tile


def slack(queries: CoarseVectors, documents: CoarseVectors) -> tuple[Vectors, float]:
    """Returns (queries,) and a share: a product p is within `array + share · |p|` of the true one.

    The true one may be rounded to float32.
    """
    dim = queries.values.shape[1]
    longest, moved = float(documents.lengths.max()), float(documents.moved.max())
    own = queries.lengths + queries.moved
    bound = queries.moved * longest + own * moved + own * ((longest + moved) * dim * _ACCUMULATED)
    bound += dim * _SMALLEST * (1 + own + longest)
    return bound.astype(np.float32), _ROUNDED if isinstance(queries.values, torch.Tensor) else 0.0
