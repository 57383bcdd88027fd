"""Documents whose vectors training isn't to change: replay for a domain that has no queries."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from embedtune.data.training_set import ReplayedTexts
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder

__all__ = ["KeptVectors"]


@dataclass(frozen=True)
class KeptVectors:
    """Documents and the base model's vectors of them, which training is not to change.

    The function that the old model computes is kept on data of its own, Li and Hoiem 2016
    (https://arxiv.org/abs/1606.09282), here for vectors: scale · (1 - cosine), the unit of the
    logits of the loss beside it.
    """

    texts: ReplayedTexts
    vectors: Tensor

    @classmethod
    def encode(cls, texts: ReplayedTexts, encoder: Encoder, cache: EmbeddingCache) -> KeptVectors:
        """Returns the documents with the base model's unit vectors."""
        vectors = torch.from_numpy(cache.encode(encoder, list(texts.documents), "document"))
        return cls(texts, torch.nn.functional.normalize(vectors, dim=1))

    def draw(self, positions: Sequence[int], documents: int) -> list[int]:
        """Returns which texts come to a batch of that many documents; the same for the same batch."""
        count = max(1, round(documents * self.texts.per_document))
        drawn = random.Random(f"{self.texts.seed}:{list(positions)}")
        return drawn.sample(range(len(self.texts.documents)), min(count, len(self.texts.documents)))

    def loss(self, vectors: Tensor, rows: Sequence[int], scale: float) -> Tensor:
        """Returns the mean of scale · (1 - cosine) between these unit vectors and the base's of the same rows."""
        kept = self.vectors[list(rows)].to(vectors.device, vectors.dtype)
        return scale * (1 - (vectors * kept).sum(dim=1)).mean()
