"""Like infonce, and a guide model takes out the negatives that it finds as near as the positive."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from embedtune.errors import OptionsError
from embedtune.train.targets import Targets

__all__ = ["NEEDS", "loss"]

NEEDS = "guide"


def loss(queries: Tensor, documents: Tensor, targets: Targets) -> Tensor:
    """Returns the contrastive loss over what the guide finds less similar than query and positive.

    Solatorio 2024 (https://arxiv.org/abs/2402.16829): each query is set against all documents and
    all other queries, each positive against the other positives. Equals sentence-transformers'
    CachedGISTEmbedLoss with its defaults and `scale` for 1 / temperature, where nothing is left out.
    """
    if targets.guide is None:
        raise OptionsError("the loss gist was given no guide's vectors")
    positives = targets.positive_columns
    guide_queries, guide_documents = targets.guide
    guide_positives = guide_documents[positives]
    by_guide = guide_queries @ guide_documents.T
    threshold = by_guide.gather(1, positives[:, None])

    own = nn.functional.one_hot(positives, documents.shape[0]).bool()
    mates_left_out = targets.left_out[:, positives] | torch.eye(len(queries), dtype=torch.bool, device=queries.device)
    logits = [
        _masked(queries @ documents.T, targets.left_out | (by_guide > threshold) & ~own),
        _masked(queries @ queries.T, mates_left_out | (guide_queries @ guide_queries.T > threshold)),
        _masked(
            documents[positives] @ documents[positives].T,
            mates_left_out | (guide_positives @ guide_positives.T > threshold),
        ),
    ]
    return nn.functional.cross_entropy(torch.cat(logits, dim=1) * targets.scale, positives)


def _masked(similarities: Tensor, left_out: Tensor) -> Tensor:
    return similarities.masked_fill(left_out, float("-inf"))
