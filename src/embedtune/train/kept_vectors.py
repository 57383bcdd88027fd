"""Texts whose vectors training isn't to change: replay of a domain without its judgements."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from embedtune.data.training_set import ReplayedTexts
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, TextKind

__all__ = ["KeptVectors"]


@dataclass(frozen=True)
class KeptVectors:
    """Texts of one kind and the base model's vectors of them, which training is not to change.

    The function that the old model computes is kept on data of its own, Li and Hoiem 2016
    (https://arxiv.org/abs/1606.09282), here for vectors: scale · (1 - cosine), the unit of the
    logits of the loss beside it.
    """

    kind: TextKind
    texts: Sequence[str]
    vectors: Tensor
    per_document: float
    seed: int

    @classmethod
    def encode(cls, replayed: ReplayedTexts, encoder: Encoder, cache: EmbeddingCache) -> list[KeptVectors]:
        """Returns the documents, and the queries if there are any, with the base model's unit vectors."""
        kinds: list[tuple[TextKind, Sequence[str]]] = [("document", replayed.documents), ("query", replayed.queries)]
        found = []
        for kind, texts in kinds:
            if texts:
                vectors = functional.normalize(torch.from_numpy(cache.encode(encoder, list(texts), kind)), dim=1)
                found.append(cls(kind, texts, vectors, replayed.per_document, replayed.seed))
        return found

    def draw(self, positions: Sequence[int], documents: int) -> list[int]:
        """Returns which texts come to a batch of that many documents; the same for the same batch."""
        count = max(1, round(documents * self.per_document))
        drawn = random.Random(f"{self.seed}:{list(positions)}")
        return drawn.sample(range(len(self.texts)), min(count, len(self.texts)))

    def loss(self, vectors: Tensor, rows: Sequence[int], scale: float) -> Tensor:
        """Returns the mean of scale · (1 - cosine) between these unit vectors and the base's of the same rows."""
        kept = self.vectors[list(rows)].to(vectors.device, vectors.dtype)
        return scale * (1 - (vectors * kept).sum(dim=1)).mean()
