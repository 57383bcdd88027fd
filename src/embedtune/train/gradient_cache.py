"""Gradients of a large batch on small memory: the vectors of micro-batches first, their graphs one at a time."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from embedtune import progress
from embedtune.errors import EmbedtuneError
from embedtune.models.forward import is_out_of_memory
from embedtune.models.trainable import TokenizedBatch, TrainableForward
from embedtune.train.together import same_fate

__all__ = ["GradientCache"]

Backward = Callable[[Tensor], Any]
"""Backpropagates a scalar, such as Tensor.backward or one that scales for float16."""
LossOfVectors = Callable[..., Tensor]


class _Part(NamedTuple):
    """A micro-batch: which of the batches, its texts' positions there, and the random state that it began with."""

    batch: int
    positions: Tensor
    random_state: Any


class GradientCache:
    """Backpropagates a loss over a whole batch, `micro_batch_size` texts in memory at a time.

    Gao et al. 2021 (https://arxiv.org/abs/2101.06983): every text is embedded without a graph, the
    loss gives the gradient of each vector, and every micro-batch is embedded once more and given its
    share. The gradients are those of the whole batch at once, also with dropout, whose random
    state is repeated. A batch that fits into one micro-batch is embedded only once. Where memory
    runs out, on any of several processes, the size is halved on all and the batch begun anew.
    """

    def __init__(self, forward_pass: TrainableForward, micro_batch_size: int, device: torch.device) -> None:
        self.forward_pass = forward_pass
        self.micro_batch_size = micro_batch_size
        self.device = device

    def backward(
        self,
        batches: Sequence[TokenizedBatch],
        loss: LossOfVectors,
        backward: Backward = Tensor.backward,
    ) -> Tensor:
        """Adds the gradients of `loss(*vectors of each batch)` to the parameters and returns the loss, detached.

        The parameters may have no gradients before, for those are cleared where memory runs out.
        """
        start = _random_state(self.device)
        while True:
            try:
                return self._backward(batches, loss, backward)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(batches, error)
            self.forward_pass.model.zero_grad(set_to_none=True)
            _restore(start, self.device)
            _release(self.device)

    def _backward(self, batches: Sequence[TokenizedBatch], loss: LossOfVectors, backward: Backward) -> Tensor:
        counts = [len(self.forward_pass.lengths(batch)) for batch in batches]
        if sum(counts) <= self.micro_batch_size:
            with same_fate():
                vectors = [self.forward_pass.embed(batch) for batch in batches]
            with same_fate():
                value = loss(*vectors)
                backward(value)
            return value.detach()
        with same_fate():
            parts, vectors = self._embed_without_graph(batches)
        with same_fate():
            leaves = [rows.requires_grad_() for rows in vectors]
            value = loss(*leaves)
            value.backward()  # type: ignore[no-untyped-call]
            self._embed_again(parts, batches, leaves, backward)
        return value.detach()

    def _embed_again(
        self, parts: Sequence[_Part], batches: Sequence[TokenizedBatch], leaves: Sequence[Tensor], backward: Backward
    ) -> None:
        """Gives every micro-batch its share of the vectors' gradients, with the random state that it had before."""
        end = _random_state(self.device)
        for part in parts:
            wanted = leaves[part.batch].grad
            if wanted is not None:
                _restore(part.random_state, self.device)
                again = self.forward_pass.embed(batches[part.batch], part.positions)
                backward((again * wanted[part.positions.to(wanted.device)]).sum())
        _restore(end, self.device)

    def _embed_without_graph(self, batches: Sequence[TokenizedBatch]) -> tuple[list[_Part], list[Tensor]]:
        """Returns the micro-batches and the vectors of each batch, in the order of its texts."""
        parts: list[_Part] = []
        vectors = []
        with torch.no_grad():
            for number, batch in enumerate(batches):
                found, orders = [], []
                for positions in self._micro_batches(batch):
                    parts.append(_Part(number, positions, _random_state(self.device)))
                    found.append(self.forward_pass.embed(batch, positions))
                    orders.append(positions)
                vectors.append(torch.cat(found)[torch.argsort(torch.cat(orders)).to(self.device)])
        return parts, vectors

    def _micro_batches(self, batch: TokenizedBatch) -> Iterator[Tensor]:
        """Yields positions of texts of like length."""
        order = torch.argsort(self.forward_pass.lengths(batch), descending=True, stable=True)
        yield from torch.split(order, self.micro_batch_size)

    def _halve(self, batches: Sequence[TokenizedBatch], error: Exception) -> None:
        texts = sum(len(self.forward_pass.lengths(batch)) for batch in batches)
        tried = min(self.micro_batch_size, texts)
        if tried == 1:
            raise EmbedtuneError(
                "memory ran out with a single text in it",
                remedy="lower --max-length, pass --gradient-checkpointing, or take a smaller model",
            ) from error
        self.micro_batch_size = tried // 2
        progress.say(
            f"memory ran out with {tried} texts in it; goes on with --micro-batch-size {self.micro_batch_size}, "
            "the batch and its negatives stay the same"
        )


def _random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    on_gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return torch.get_rng_state(), on_gpu


def _restore(state: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)


def _release(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
