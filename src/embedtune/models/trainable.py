"""The forward pass that training differentiates: texts become unit vectors with gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any, Protocol

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from embedtune.models.encoder import TextKind
from embedtune.models.packed.training import PackedTraining, can_pack_training
from embedtune.models.sentence_transformer import DTYPES, prompt_of

__all__ = ["PaddedTraining", "TokenizedBatch", "TrainableForward", "make_forward"]

TokenizedBatch = dict[str, Any]
"""What `tokenize` gives: tensors and numbers by name, `input_ids` among them; only its forward pass reads it."""


class TrainableForward(Protocol):
    """A model's texts as vectors whose gradients reach the model's own parameters.

    Dropout is drawn from PyTorch's global generator, so restoring its state repeats a pass.
    """

    name: str
    model: SentenceTransformer

    def tokenize(self, texts: list[str], kind: TextKind) -> TokenizedBatch:
        """Returns the texts behind the model's prompt, as in evaluation, cut to its limit."""

    def lengths(self, batch: TokenizedBatch) -> Tensor:
        """Returns (texts,) int64: how many tokens each text has."""

    def embed(self, batch: TokenizedBatch, positions: Tensor | None = None) -> Tensor:
        """Returns (texts, dim) float32 unit vectors with gradients; with `positions` those texts', in that order."""


def make_forward(
    model: SentenceTransformer, precision: str, device: torch.device, texts_per_forward: int
) -> TrainableForward:
    """Returns the packed forward pass where it computes what this model computes, else sentence-transformers' own.

    `texts_per_forward` is for the latter.
    """
    if device.type == "cpu" and can_pack_training(model, precision):
        return PackedTraining(model, precision, partial(prompt_of, model))
    return PaddedTraining(model, precision, device, texts_per_forward)


class PaddedTraining:
    """sentence-transformers' own forward pass, `texts_per_forward` texts of like length at a time."""

    name = "sentence-transformers"

    def __init__(
        self, model: SentenceTransformer, precision: str, device: torch.device, texts_per_forward: int
    ) -> None:
        self.model = model
        self.device = device
        self.dtype = DTYPES[precision]
        self.texts_per_forward = texts_per_forward

    def tokenize(self, texts: list[str], kind: TextKind) -> TokenizedBatch:
        """Returns what the model's preprocess gives."""
        features: dict[str, Any] = self.model.preprocess(texts, prompt=prompt_of(self.model, kind) or None, task=kind)
        return features

    def lengths(self, batch: TokenizedBatch) -> Tensor:
        """Returns the tokens that aren't padding; 1 each where the model has no mask."""
        mask = _mask(batch)
        if mask is None:
            return torch.ones(_count(batch), dtype=torch.int64)
        return mask.sum(dim=1)

    def embed(self, batch: TokenizedBatch, positions: Tensor | None = None) -> Tensor:
        """Returns the texts' vectors; those of like length go through the model together."""
        if positions is not None:
            batch = {name: _take(value, positions, _count(batch)) for name, value in batch.items()}
        parts, orders = [], []
        for order, part in self._by_length(batch):
            with self._autocast():
                parts.append(self.model(part)["sentence_embedding"])
            orders.append(order)
        back = torch.argsort(torch.cat(orders))
        return nn.functional.normalize(torch.cat(parts).float(), dim=1)[back]

    def _autocast(self) -> Any:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def _by_length(self, batch: TokenizedBatch) -> Iterator[tuple[Tensor, TokenizedBatch]]:
        """Yields (positions, features) of texts sorted by length, padding trimmed to each part's longest."""
        mask = _mask(batch)
        if mask is None:
            yield torch.arange(_count(batch)), batch
            return
        lengths = mask.sum(dim=1)
        left_padded = bool((mask[:, 0] == 0).any())
        for order in torch.split(torch.argsort(lengths, descending=True, stable=True), self.texts_per_forward):
            longest = int(lengths[order].max())
            columns = slice(-longest, None) if left_padded else slice(longest)
            yield order, {name: _trim(_take(value, order, len(mask)), columns, mask) for name, value in batch.items()}


def _mask(batch: TokenizedBatch) -> Tensor | None:
    mask = batch.get("attention_mask")
    return mask if mask is not None and mask.ndim == 2 else None


def _count(batch: TokenizedBatch) -> int:
    return len(batch["input_ids"]) if "input_ids" in batch else len(next(iter(batch.values())))


def _take(value: Any, order: Tensor, count: int) -> Any:
    """Returns the rows of what has one for each text."""
    return value[order] if isinstance(value, Tensor) and value.ndim and len(value) == count else value


def _trim(value: Any, columns: slice, mask: Tensor) -> Any:
    """Returns the columns of what has one for each token."""
    return value[:, columns] if isinstance(value, Tensor) and value.shape[1:2] == mask.shape[1:] else value
