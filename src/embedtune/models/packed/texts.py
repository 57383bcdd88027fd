"""Texts end to end: token ids without padding, and where each text begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["PackedTexts", "pack"]


@dataclass(frozen=True)
class PackedTexts:
    """`ids` (tokens,) int64, all texts one after the other; text t is borders[t] : borders[t + 1]."""

    ids: Tensor
    borders: Tensor

    @property
    def lengths(self) -> Tensor:
        """Returns (texts,): how many tokens each text has."""
        return self.borders.diff()

    def places(self) -> Tensor:
        """Returns (tokens,): each token's place in its own text, from 0."""
        starts = torch.repeat_interleave(self.borders[:-1], self.lengths, output_size=len(self.ids))
        return torch.arange(len(self.ids)) - starts

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """Yields (first token, texts, length) of neighbouring texts of equal length."""
        lengths = self.lengths.tolist()
        first = start = 0
        for text in range(1, len(lengths) + 1):
            if text == len(lengths) or lengths[text] != lengths[first]:
                yield start, text - first, lengths[first]
                start += (text - first) * lengths[first]
                first = text


def pack(ids: Sequence[Sequence[int]]) -> PackedTexts:
    """Returns the texts of these token ids end to end."""
    lengths = np.fromiter((len(text) for text in ids), dtype=np.int64, count=len(ids))
    borders = np.concatenate([[0], lengths.cumsum()])
    flat = np.fromiter((token for text in ids for token in text), dtype=np.int64, count=int(borders[-1]))
    return PackedTexts(torch.from_numpy(flat), torch.from_numpy(borders))
