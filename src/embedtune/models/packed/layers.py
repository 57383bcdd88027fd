"""One layer of BERT over packed texts, in float32 or bfloat16.

oneDNN multiplies, with the weights laid out once; attention looks at one text at a time, so nothing
is padded and nothing masked.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from embedtune.models.packed.kernels import compiled_kernels
from embedtune.models.packed.texts import PackedTexts

__all__ = ["Affine", "Attention", "FloatLayer", "LayerWeights", "Norm", "attend_in_blocks", "borrow", "layer_norm"]

_SCORES_AT_ONCE = 1 << 20
"""Scores of one block of heads: 2 MB in bfloat16, about a core's second-level cache."""
_USUAL_ROWS = 2048
_scratch = threading.local()


class Affine(NamedTuple):
    """A linear map: weight (out, in) and bias (out,), float32."""

    weight: Tensor
    bias: Tensor


class Norm(NamedTuple):
    """A layer norm: factor and shift (width,), float32, and what is added to the variance."""

    gamma: Tensor
    beta: Tensor
    epsilon: float


class LayerWeights(NamedTuple):
    """A layer of BERT, float32; queries in `qkv` are scaled by 1 / √(head size) already."""

    qkv: Affine
    out: Affine
    attention_norm: Norm
    up: Affine
    down: Affine
    output_norm: Norm


class Attention:
    """Softmax attention inside each text; compiled where that was built, else PyTorch's products in blocks."""

    def __init__(self, heads: int, head_size: int, dtype: torch.dtype) -> None:
        self.heads = heads
        kernels = compiled_kernels()
        self._compiled = kernels is not None and dtype == torch.bfloat16 and kernels.can_attend(head_size)

    def __call__(self, qkv: Tensor, texts: PackedTexts) -> Tensor:
        """Returns (tokens, width) for (tokens, 3 · width) queries, keys and values."""
        kernels = compiled_kernels() if self._compiled else None
        if kernels is not None:
            return kernels.attention(qkv, texts.borders, self.heads)
        return attend_in_blocks(qkv, texts, self.heads)


class _Product:
    """x → x Wᵀ + b. The weight is laid out for oneDNN, which is a tenth faster, unless it's to be shared."""

    def __init__(self, affine: Affine, dtype: torch.dtype, *, shareable: bool) -> None:
        weight = affine.weight.to(dtype).contiguous()
        self.weight = weight if shareable else torch.ops.mkldnn._reorder_linear_weight(weight, _USUAL_ROWS)
        self.bias = affine.bias.to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return result

    def gelu(self, x: Tensor) -> Tensor:
        """Returns the exact gelu of the product."""
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "gelu", [], "none")
        return result

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """Returns the product plus another matrix."""
        result: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, other, self.weight, self.bias, "add")
        return result


class FloatLayer:
    """A layer in float32 or bfloat16; takes and gives (tokens, width)."""

    def __init__(self, weights: LayerWeights, dtype: torch.dtype, *, shareable: bool) -> None:
        self.qkv = _Product(weights.qkv, dtype, shareable=shareable)
        self.out = _Product(weights.out, dtype, shareable=shareable)
        self.up = _Product(weights.up, dtype, shareable=shareable)
        self.down = _Product(weights.down, dtype, shareable=shareable)
        self.attention_norm = cast_norm(weights.attention_norm, dtype)
        self.output_norm = cast_norm(weights.output_norm, dtype)

    def __call__(self, x: Tensor, texts: PackedTexts, attend: Attention) -> Tensor:
        """Returns the layer's output."""
        x = layer_norm(self.out.plus(attend(self.qkv(x), texts), x), self.attention_norm)
        return layer_norm(self.down.plus(self.up.gelu(x), x), self.output_norm)


def cast_norm(norm: Norm, dtype: torch.dtype) -> Norm:
    """Returns the norm with its weights in that precision."""
    return Norm(norm.gamma.to(dtype), norm.beta.to(dtype), norm.epsilon)


def layer_norm(x: Tensor, norm: Norm) -> Tensor:
    """Returns the layer norm of each row."""
    return functional.layer_norm(x, norm.gamma.shape, norm.gamma, norm.beta, norm.epsilon)


def attend_in_blocks(qkv: Tensor, texts: PackedTexts, heads: int) -> Tensor:
    """Returns softmax attention inside each text, (tokens, width).

    Texts of equal length go together; on a CPU two batched products and a softmax that stay in the
    cache take half the time of PyTorch's scaled_dot_product_attention.
    """
    tokens, width = qkv.shape[0], qkv.shape[1] // 3
    size = width // heads
    mixed = torch.empty(tokens, width, dtype=qkv.dtype)
    for start, count, length in texts.runs():
        rows = slice(start, start + count * length)
        apart = borrow("apart", 3 * count * length * width, qkv.dtype).view(3, count, heads, length, size)
        apart.copy_(qkv[rows].view(count, length, 3, heads, size).permute(2, 0, 3, 1, 4))
        queries, keys, values = apart.view(3, count * heads, length, size)
        step = max(1, _SCORES_AT_ONCE // length**2)
        scores = borrow("scores", min(step, count * heads) * length**2, qkv.dtype).view(-1, length, length)
        for first in range(0, count * heads, step):
            block = slice(first, first + step)
            shares = scores[: len(queries[block])]
            torch.bmm(queries[block], keys[block].transpose(1, 2), out=shares)
            torch.softmax(shares, -1, out=shares)
            torch.bmm(shares, values[block], out=queries[block])
        mixed[rows].view(count, length, heads, size).copy_(queries.view(count, heads, length, size).transpose(1, 2))
    return mixed


def borrow(name: str, size: int, dtype: torch.dtype) -> Tensor:
    """Returns this thread's scratch memory, grown where it was smaller; fresh memory costs page faults."""
    held: Tensor | None = getattr(_scratch, name, None)
    if held is None or held.numel() < size or held.dtype != dtype:
        with torch.inference_mode(False):  # or it could only be used in inference mode ever after
            held = torch.empty(size, dtype=dtype)
        setattr(_scratch, name, held)
    return held[:size]
