"""Ranks the positive before every other document of the batch: pairs, with or without hard negatives."""

from __future__ import annotations

from torch import Tensor, nn

from embedtune.train.targets import Targets

__all__ = ["NEEDS", "contrastive_loss", "loss"]

NEEDS = None


def loss(queries: Tensor, documents: Tensor, targets: Targets) -> Tensor:
    """Returns the mean over queries of -log softmax at the positive, over what isn't left out.

    van den Oord et al. 2018 (https://arxiv.org/abs/1807.03748), equation 4, with cosine similarity
    times `scale` (1 / temperature). Where nothing is left out it equals sentence-transformers'
    MultipleNegativesRankingLoss, and with micro-batches its cached form; tests compare them.
    """
    return contrastive_loss(queries, documents, targets.labels, targets.scale)


def contrastive_loss(queries: Tensor, documents: Tensor, labels: Tensor, scale: float) -> Tensor:
    """Returns the same from labels alone: one 1 a row, 0 for negatives and -1 for what is left out."""
    logits = (queries @ documents.T * scale).masked_fill(labels < 0, float("-inf"))
    return nn.functional.cross_entropy(logits, labels.argmax(dim=1))
