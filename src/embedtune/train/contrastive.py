"""InfoNCE over the documents of a batch that are known not to be relevant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

__all__ = ["ContrastiveLoss", "contrastive_loss"]

Features = dict[str, Any]


class ContrastiveLoss(nn.Module):
    """sentence-transformers' MultipleNegativesRankingLoss with relevant documents masked out.

    van den Oord et al. 2018 (https://arxiv.org/abs/1807.03748), equation 4, with cosine
    similarity times `scale` (1 / temperature). Where nothing is masked the value equals
    MultipleNegativesRankingLoss; a test compares them.
    """

    def __init__(self, model: SentenceTransformer, scale: float, texts_per_forward: int) -> None:
        super().__init__()
        self.model = model
        self.scale = scale
        self.texts_per_forward = texts_per_forward

    def forward(self, features: Sequence[Features], labels: Tensor) -> Tensor:
        """Returns the batch's mean loss; `features` are the queries', then the documents'."""
        queries, documents = (self._embed(columns) for columns in features)
        return contrastive_loss(queries, documents, labels, self.scale)

    def _embed(self, features: Features) -> Tensor:
        """Returns (texts, dim) unit vectors; texts of like length go through the model together."""
        parts, orders = [], []
        for order, part in _by_length(features, self.texts_per_forward):
            parts.append(self.model(part)["sentence_embedding"])
            orders.append(order)
        back = torch.argsort(torch.cat(orders))
        return nn.functional.normalize(torch.cat(parts).float(), dim=1)[back]


def contrastive_loss(queries: Tensor, documents: Tensor, labels: Tensor, scale: float) -> Tensor:
    """Returns the mean over queries of -log softmax at the positive.

    `queries` (q, dim) and `documents` (d, dim) are unit vectors; `labels` (q, d) has one 1 a
    row, 0 for negatives and -1 for what is left out of the softmax.
    """
    logits = (queries @ documents.T * scale).masked_fill(labels < 0, float("-inf"))
    return nn.functional.cross_entropy(logits, labels.argmax(dim=1))


def _by_length(features: Features, texts_per_part: int) -> Iterator[tuple[Tensor, Features]]:
    """Yields (positions, features) of texts sorted by length, padding trimmed to each part's longest."""
    mask = features.get("attention_mask")
    if mask is None or mask.ndim != 2:
        yield torch.arange(len(next(iter(features.values())))), features
        return
    lengths = mask.sum(dim=1)
    left_padded = bool((mask[:, 0] == 0).any())
    for order in torch.split(torch.argsort(lengths, descending=True, stable=True), texts_per_part):
        longest = int(lengths[order].max())
        columns = slice(-longest, None) if left_padded else slice(longest)
        yield order, {name: _take(value, order, columns, mask.shape) for name, value in features.items()}


def _take(value: Any, order: Tensor, columns: slice, shape: torch.Size) -> Any:
    if not isinstance(value, Tensor) or value.ndim == 0 or len(value) != shape[0]:
        return value
    return value[order][:, columns] if value.shape[:2] == shape else value[order]
