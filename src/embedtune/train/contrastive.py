"""InfoNCE over the documents of a batch that are known not to be relevant."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from embedtune.models.trainable import TokenizedBatch, TrainableForward

__all__ = ["ContrastiveLoss", "contrastive_loss"]


class ContrastiveLoss(nn.Module):
    """sentence-transformers' MultipleNegativesRankingLoss with relevant documents masked out.

    van den Oord et al. 2018 (https://arxiv.org/abs/1807.03748), equation 4, with cosine
    similarity times `scale` (1 / temperature). Where nothing is masked the value equals
    MultipleNegativesRankingLoss; a test compares them.
    """

    def __init__(self, forward_pass: TrainableForward, scale: float) -> None:
        super().__init__()
        self.model = forward_pass.model  # the trainer optimises the parameters of its loss
        self.forward_pass = forward_pass
        self.scale = scale

    def forward(self, features: Sequence[TokenizedBatch], labels: Tensor) -> Tensor:
        """Returns the batch's mean loss; `features` are the queries', then the documents'."""
        queries, documents = (self.forward_pass.embed(batch) for batch in features)
        return contrastive_loss(queries, documents, labels, self.scale)


def contrastive_loss(queries: Tensor, documents: Tensor, labels: Tensor, scale: float) -> Tensor:
    """Returns the mean over queries of -log softmax at the positive.

    `queries` (q, dim) and `documents` (d, dim) are unit vectors; `labels` (q, d) has one 1 a
    row, 0 for negatives and -1 for what is left out of the softmax.
    """
    logits = (queries @ documents.T * scale).masked_fill(labels < 0, float("-inf"))
    return nn.functional.cross_entropy(logits, labels.argmax(dim=1))
