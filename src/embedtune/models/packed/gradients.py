"""Attention inside each text, dropout and linear maps over packed texts, with gradients.

Attention keeps its inputs and nothing else for the backward pass: scores and dropout are computed
again, a block of heads at a time, which takes no longer than reading them back from memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from embedtune.models.packed.layers import borrow
from embedtune.models.packed.texts import PackedTexts

__all__ = ["attend", "dropout"]

_SCORES_AT_ONCE = 1 << 19
_STEPS = 1 << 16
_PER_DRAW = 4
"""Random 16-bit numbers in one draw of 64 bits."""


class _Mask:
    """Which elements dropout keeps: 1 or 0 by the seed, the same ones again for the same seed.

    A share is a whole number of 65536ths, 0.100006 for 0.1. PyTorch's own dropout spends ten times
    as long on its random numbers.
    """

    def __init__(self, share: float, seed: int) -> None:
        dropped = round(share * _STEPS)
        self.factor = _STEPS / (_STEPS - dropped)
        self._lowest = dropped - _STEPS // 2
        self._generator = np.random.SFC64(seed)

    def draw(self, out: Tensor) -> Tensor:
        """Fills `out` with the next elements."""
        count = out.numel()
        raw: Any = self._generator.random_raw(-(-count // _PER_DRAW))
        drawn = torch.from_numpy(raw.view(np.int16))[:count].view(out.shape)
        return torch.ge(drawn, self._lowest, out=out)


def _fresh_seed(share: float) -> int:
    """Returns a seed from PyTorch's global generator; 0, and no draw, where nothing is dropped."""
    return int(torch.randint(1 << 62, ()).item()) if share else 0


def dropout(x: Tensor, share: float) -> Tensor:
    """Returns x with that share of its elements set to 0 and the others scaled up."""
    return _Dropout.apply(x, share, _fresh_seed(share)) if share else x  # type: ignore[no-untyped-call,no-any-return]


class _Dropout(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, share: float, seed: int) -> Tensor:
        ctx.share, ctx.seed = share, seed
        mask = _Mask(share, seed)
        return _dropped(x, mask)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        mask = _Mask(ctx.share, ctx.seed)
        (gradient,) = gradients
        return _dropped(gradient, mask), None, None


def _dropped(x: Tensor, mask: _Mask) -> Tensor:
    kept = mask.draw(torch.empty_like(x, memory_format=torch.contiguous_format))
    return kept.mul_(x).mul_(mask.factor)


def attend(qkv: Tensor, texts: PackedTexts, heads: int, share: float) -> Tensor:
    """Returns softmax attention inside each text, (tokens, width), for (tokens, 3 · width); `share` is dropped."""
    seed = _fresh_seed(share)
    return _Attention.apply(qkv, texts, heads, share, seed)  # type: ignore[no-untyped-call,no-any-return]


class _Attention(Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, texts: PackedTexts, heads: int, share: float, seed: int) -> Tensor:
        ctx.save_for_backward(qkv)
        ctx.given = texts, heads, share, seed
        mask = _Mask(share, seed) if share else None
        mixed = torch.empty(len(qkv), qkv.shape[1] // 3, dtype=qkv.dtype)
        for rows, shape in _runs(texts, mixed.shape[1], heads):
            queries, keys, values = _apart(qkv[rows], shape)
            for block, shares in _blocks("shares", queries, shape):
                _softmax_of_scores(queries[block], keys[block], shares)
                if mask is not None:
                    shares.mul_(mask.draw(_like("kept", shares)))
                torch.bmm(shares, values[block], out=queries[block])
            _together(queries, mixed[rows], shape)
        return mixed if mask is None else mixed.mul_(mask.factor)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (qkv,) = ctx.saved_tensors
        texts, heads, share, seed = ctx.given
        mask = _Mask(share, seed) if share else None
        (gradient,) = gradients
        gradient = gradient if mask is None else gradient * mask.factor
        result = torch.empty_like(qkv)
        for rows, shape in _runs(texts, gradient.shape[1], heads):
            queries, keys, values = _apart(qkv[rows], shape)
            above = _heads_first("above", gradient[rows], shape)
            for block, shares in _blocks("shares", queries, shape):
                q, k, v, o = queries[block], keys[block], values[block], above[block]
                _softmax_of_scores(q, k, shares)
                change = torch.bmm(o, v.transpose(1, 2), out=_like("change", shares))
                if mask is None:
                    torch.bmm(shares.transpose(1, 2), o, out=v)
                else:
                    kept = mask.draw(_like("kept", shares))
                    change.mul_(kept)
                    torch.bmm(kept.mul_(shares).transpose(1, 2), o, out=v)
                torch._softmax_backward_data(change, shares, -1, qkv.dtype, grad_input=change)
                torch.bmm(change.transpose(1, 2), q, out=o)
                torch.bmm(change, k, out=q)
                k.copy_(o)
            queries.mul_(shape[3] ** -0.5)
            count, heads_, length, size = shape
            parts = _borrowed_parts(queries, shape)
            result[rows].view(count, length, 3, heads_, size).copy_(parts.permute(1, 3, 0, 2, 4))
        return result, None, None, None, None


Shape = tuple[int, int, int, int]
"""Texts, heads, length, head size of neighbouring texts of equal length."""


def _runs(texts: PackedTexts, width: int, heads: int) -> Iterator[tuple[slice, Shape]]:
    for start, count, length in texts.runs():
        yield slice(start, start + count * length), (count, heads, length, width // heads)


def _apart(qkv: Tensor, shape: Shape) -> tuple[Tensor, Tensor, Tensor]:
    """Returns queries, scaled by 1 / √(head size), keys and values, each (texts · heads, length, head size)."""
    count, heads, length, size = shape
    apart = borrow("apart", 3 * qkv.shape[0] * heads * size, qkv.dtype).view(3, count, heads, length, size)
    apart.copy_(qkv.view(count, length, 3, heads, size).permute(2, 0, 3, 1, 4))
    queries, keys, values = apart.view(3, count * heads, length, size)
    return queries.mul_(size**-0.5), keys, values


def _borrowed_parts(queries: Tensor, shape: Shape) -> Tensor:
    """Returns all that _apart borrowed, (3, texts, heads, length, head size)."""
    return borrow("apart", 3 * queries.numel(), queries.dtype).view(3, *shape)


def _heads_first(name: str, rows: Tensor, shape: Shape) -> Tensor:
    count, heads, length, size = shape
    apart = borrow(name, rows.numel(), rows.dtype).view(shape)
    apart.copy_(rows.view(count, length, heads, size).transpose(1, 2))
    return apart.view(count * heads, length, size)


def _together(apart: Tensor, rows: Tensor, shape: Shape) -> None:
    count, heads, length, size = shape
    rows.view(count, length, heads, size).copy_(apart.view(shape).transpose(1, 2))


def _blocks(name: str, queries: Tensor, shape: Shape) -> Iterator[tuple[slice, Tensor]]:
    """Yields heads whose scores fit into the cache together, and memory for these scores."""
    length = shape[2]
    step = max(1, _SCORES_AT_ONCE // length**2)
    scores = borrow(name, min(step, len(queries)) * length**2, queries.dtype).view(-1, length, length)
    for first in range(0, len(queries), step):
        block = slice(first, min(first + step, len(queries)))
        yield block, scores[: block.stop - first]


def _softmax_of_scores(queries: Tensor, keys: Tensor, out: Tensor) -> None:
    torch.bmm(queries, keys.transpose(1, 2), out=out)
    torch.softmax(out, -1, out=out)


def _like(name: str, other: Tensor) -> Tensor:
    return borrow(name, other.numel(), other.dtype).view(other.shape)
