"""The compiled kernels, where they were built and this CPU can run them.

kernels.c is compiled when the package is installed (hatch_build.py), if there is a C compiler. What
it computes is what oneDNN leaves unfused; without it everything works through PyTorch alone.
"""

from __future__ import annotations

import ctypes
import hashlib
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

__all__ = ["CompiledKernels", "compiled_kernels", "why_no_kernels"]

_LIBRARY = Path(__file__).with_name("libkernels.so")
_SOURCE = Path(__file__).with_name("kernels.c")
_NEEDED = ("avx512_f", "avx512_bw", "avx512_vl", "avx512_dq", "avx512_bf16")
_HEAD_SIZES = frozenset({32, 64, 96, 128})
_WIDEST = 16384
_LANES = 16


class CompiledKernels:
    """kernels.c, taking tensors; shapes are those in its comments."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.embedtune_attention.restype = ctypes.c_int

    def can_attend(self, head_size: int) -> bool:
        """Returns whether attention takes heads of that size."""
        return head_size in _HEAD_SIZES

    def can_quantise(self, *widths: int) -> bool:
        """Returns whether rows of these widths can be quantised."""
        vnni = bool(torch.cpu.get_capabilities().get("avx512_vnni"))
        return vnni and all(width % _LANES == 0 and width <= _WIDEST for width in widths)

    def attention(self, qkv: Tensor, borders: Tensor, heads: int) -> Tensor:
        """Returns (tokens, heads · head size) bfloat16; raises MemoryError."""
        head_size = qkv.shape[1] // (3 * heads)
        out = torch.empty(len(qkv), heads * head_size, dtype=torch.bfloat16)
        texts, failed = len(borders) - 1, self._library.embedtune_attention
        if failed(_at(qkv), _at(borders), _int(texts), _int(heads), _int(head_size), _at(out)):
            raise MemoryError("no memory for attention")
        return out

    def quantise(self, x: Tensor, smooth: Tensor | None) -> tuple[Tensor, Tensor]:
        """Returns the rows, their columns times `smooth`, as int8 and the scale of each row."""
        out, scales = torch.empty(x.shape, dtype=torch.int8), torch.empty(len(x))
        self._library.embedtune_quantise(_at(x), *_shape(x), _at(smooth), _at(out), _at(scales))
        return out, scales

    def dequantise(self, sums: Tensor, scales: Tensor, column_scales: Tensor, bias: Tensor) -> Tensor:
        """Returns an int8 product's meaning as bfloat16."""
        out = torch.empty(sums.shape, dtype=torch.bfloat16)
        where = (_at(scales), _at(column_scales), _at(bias), _at(out))
        self._library.embedtune_dequantise(_at(sums), *_shape(sums), *where)
        return out

    def gelu(self, sums: Tensor, scales: Tensor, column_scales: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Returns gelu of an int8 product as int8, and the scale of each row."""
        out, new_scales = torch.empty(sums.shape, dtype=torch.int8), torch.empty(len(sums))
        where = (_at(scales), _at(column_scales), _at(bias), _at(out), _at(new_scales))
        self._library.embedtune_gelu(_at(sums), *_shape(sums), *where)
        return out, new_scales

    def norm(
        self,
        sums: Tensor,
        scales: Tensor,
        column_scales: Tensor,
        column_sums: Tensor | None,
        bias: Tensor,
        residual: Tensor,
        norm: tuple[Tensor, Tensor, float],
        smooth: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the layer norm of product plus residual: bfloat16, int8 and the scale of each row."""
        gamma, beta, epsilon = norm
        out, scaled = torch.empty(sums.shape, dtype=torch.bfloat16), torch.empty(sums.shape, dtype=torch.int8)
        new_scales = torch.empty(len(sums))
        product = (_at(sums), *_shape(sums), _at(scales), _at(column_scales), _at(column_sums), _at(bias))
        normed = (_at(residual), _at(gamma), _at(beta), ctypes.c_float(epsilon), _at(out))
        self._library.embedtune_norm(*product, *normed, _at(smooth), _at(scaled), _at(new_scales))
        return out, scaled, new_scales


@cache
def compiled_kernels() -> CompiledKernels | None:
    """Returns the kernels; None where they weren't built from this source or this CPU lacks an instruction set."""
    abilities = torch.cpu.get_capabilities()
    if not _LIBRARY.is_file() or not all(abilities.get(name) for name in _NEEDED):
        return None
    try:
        library = ctypes.CDLL(str(_LIBRARY))
        library.embedtune_made_from.restype = ctypes.c_char_p
        made_from = library.embedtune_made_from().decode()
    except (OSError, AttributeError):  # built for another system, or by another version
        return None
    return CompiledKernels(library) if made_from == hashlib.sha256(_SOURCE.read_bytes()).hexdigest() else None


def why_no_kernels() -> str:
    """Returns in words why compiled_kernels gives None, and "" where it doesn't."""
    if compiled_kernels() is not None:
        return ""
    abilities = torch.cpu.get_capabilities()
    lacking = [name for name in _NEEDED if not abilities.get(name)]
    if lacking:
        return f"this CPU lacks {', '.join(lacking)}"
    if not _LIBRARY.is_file():
        return "not built; install a C compiler and reinstall embedtune"
    return "built from another source or for another system; reinstall embedtune"


def _at(tensor: Tensor | None) -> ctypes.c_void_p:
    if tensor is None:
        return ctypes.c_void_p(None)
    if not tensor.is_contiguous():
        raise ValueError(f"the kernels take contiguous tensors, found strides {tensor.stride()}")
    return ctypes.c_void_p(tensor.data_ptr())


def _shape(matrix: Tensor) -> tuple[ctypes.c_int64, ctypes.c_int64]:
    return _int(matrix.shape[0]), _int(matrix.shape[1])


def _int(value: int) -> ctypes.c_int64:
    return ctypes.c_int64(value)
