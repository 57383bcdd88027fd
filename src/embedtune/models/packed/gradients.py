"""Attention inside each text and dropout over packed texts, with gradients.

Attention keeps its inputs and nothing else for the backward pass: scores and dropout are computed
again, a few texts at a time, which takes no longer than reading them back from memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

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
_PIECE = 1 << 17


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
        """Fills `out`, which is contiguous, with the next elements; in pieces that stay in the cache."""
        flat = out.view(-1)
        for first in range(0, len(flat), _PIECE):
            piece = flat[first : first + _PIECE]
            raw: Any = self._generator.random_raw(-(-len(piece) // _PER_DRAW))
            torch.ge(torch.from_numpy(raw.view(np.int16))[: len(piece)], self._lowest, out=piece)
        return out


def _fresh_seed(share: float) -> int:
    """Returns a seed from PyTorch's global generator; 0, and no draw, where nothing is dropped."""
    return int(torch.randint(1 << 62, ()).item()) if share else 0


def dropout(x: Tensor, share: float) -> Tensor:
    """Returns x with that share of its elements set to 0 and the others scaled up."""
    return _Dropout.apply(x, share, _fresh_seed(share)) if share else x  # type: ignore[no-untyped-call]


class _Dropout(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, share: float, seed: int) -> Tensor:
        ctx.share, ctx.seed = share, seed
        return _dropped(x, _Mask(share, seed))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _dropped(gradients[0], _Mask(ctx.share, ctx.seed)), None, None


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
        mixed = torch.empty(len(qkv), qkv.shape[1] // 3, dtype=qkv.dtype)

        def work(job: _Job) -> None:
            _forward(job, qkv[job.rows], mixed[job.rows])

        _on_all_cores(work, list(_jobs(texts, mixed.shape[1], heads, share, seed)))
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (qkv,), (gradient,) = ctx.saved_tensors, gradients
        texts, heads, share, seed = ctx.given
        result = torch.empty_like(qkv)

        def work(job: _Job) -> None:
            _backward(job, qkv[job.rows], gradient[job.rows], result[job.rows])

        _on_all_cores(work, list(_jobs(texts, gradient.shape[1], heads, share, seed)))
        return result, None, None, None, None


class _Job(NamedTuple):
    """Neighbouring texts of equal length that are computed together."""

    rows: slice
    texts: int
    heads: int
    length: int
    size: int
    share: float
    seed: int

    @property
    def mask(self) -> _Mask | None:
        return _Mask(self.share, self.seed) if self.share else None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.texts, self.heads, self.length, self.size

    @property
    def scale(self) -> float:
        return float(self.size**-0.5)


def _jobs(texts: PackedTexts, width: int, heads: int, share: float, seed: int) -> Iterator[_Job]:
    """Yields texts whose scores fit into the cache together; each job has a seed of its own."""
    number = 0
    for start, count, length in texts.runs():
        step = max(1, _SCORES_AT_ONCE // (heads * max(1, length) ** 2))
        for first in range(0, count, step):
            some = min(step, count - first)
            begin = start + first * length
            yield _Job(slice(begin, begin + some * length), some, heads, length, width // heads, share, seed + number)
            number += 1


def _forward(job: _Job, qkv: Tensor, mixed: Tensor) -> None:
    queries, keys, values = _apart(job, qkv)
    shares = _scratch("shares", len(queries), job.length, job.length, queries.dtype)
    torch.softmax(torch.bmm(queries, keys.transpose(1, 2), out=shares), -1, out=shares)
    mask = job.mask
    if mask is not None:
        shares.mul_(mask.draw(borrow("kept", shares.numel(), shares.dtype)).view_as(shares))
        values.mul_(mask.factor)
    torch.bmm(shares, values, out=queries)
    mixed.view(job.texts, job.length, job.heads, job.size).copy_(queries.view(job.shape).transpose(1, 2))


def _backward(job: _Job, qkv: Tensor, gradient: Tensor, result: Tensor) -> None:
    """Fills `result` (tokens, 3 · width) with the gradients of queries, keys and values."""
    queries, keys, values = _apart(job, qkv)
    above = borrow("above", gradient.numel(), gradient.dtype).view(job.shape)
    above.copy_(gradient.view(job.texts, job.length, job.heads, job.size).transpose(1, 2))
    above = above.view(queries.shape)
    shares = _scratch("shares", len(queries), job.length, job.length, queries.dtype)
    torch.softmax(torch.bmm(queries, keys.transpose(1, 2), out=shares), -1, out=shares)
    change, mask, used = borrow("change", shares.numel(), shares.dtype).view_as(shares), job.mask, shares
    if mask is not None:
        above.mul_(mask.factor)
    torch.bmm(above, values.transpose(1, 2), out=change)
    if mask is not None:
        kept = mask.draw(borrow("kept", shares.numel(), shares.dtype)).view_as(shares)
        change.mul_(kept)
        used = kept.mul_(shares)
    torch.bmm(used.transpose(1, 2), above, out=values)
    torch._softmax_backward_data(change, shares, -1, shares.dtype, grad_input=change)
    torch.bmm(change.transpose(1, 2), queries, out=above)
    torch.bmm(change, keys, out=queries)
    into = result.view(job.texts, job.length, 3, job.heads, job.size)
    for place, part in enumerate((queries.mul_(job.scale), above, values)):
        into[:, :, place].copy_(part.view(job.shape).transpose(1, 2))


def _apart(job: _Job, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns queries, scaled by 1 / √(head size), keys and values, each (texts · heads, length, head size)."""
    apart = borrow("apart", qkv.numel(), qkv.dtype).view(3, *job.shape)
    apart.copy_(qkv.view(job.texts, job.length, 3, job.heads, job.size).permute(2, 0, 3, 1, 4))
    queries, keys, values = apart.view(3, job.texts * job.heads, job.length, job.size)
    return queries.mul_(job.scale), keys, values


def _scratch(name: str, rows: int, length: int, width: int, dtype: torch.dtype) -> Tensor:
    return borrow(name, rows * length * width, dtype).view(rows, length, width)


def _on_all_cores(work: Callable[[_Job], None], jobs: list[_Job]) -> None:
    """Does every job; each core takes the next one, because such small products gain nothing from two."""
    workers = torch.get_num_threads()
    if workers == 1 or len(jobs) == 1:
        for job in jobs:
            work(job)
        return

    def alone(job: _Job) -> None:
        with torch.no_grad():
            work(job)

    for _ in _pool(workers).map(alone, jobs):
        pass


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    """Returns threads that stay, and keep their scratch memory; PyTorch computes on one core in each."""
    host_threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="packed-attention", initializer=_alone)
    list(pool.map(lambda _: None, range(workers)))
    torch.set_num_threads(host_threads)
    return pool


def _alone() -> None:
    torch.set_num_threads(1)
