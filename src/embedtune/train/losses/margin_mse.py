"""Learns by how much a teacher prefers the positive to each hard negative."""

from __future__ import annotations

from torch import Tensor

from embedtune.train.targets import Targets

__all__ = ["NEEDS", "loss"]

NEEDS = "teacher_scores"


def loss(queries: Tensor, documents: Tensor, targets: Targets) -> Tensor:
    """Returns the mean squared difference between the model's margins and the teacher's.

    Hofstätter et al. 2020 (https://arxiv.org/abs/2010.02666), equation 4; a margin is the score of
    the positive less that of the query's own negative, the model's score cosine times `scale`. As
    MarginMSELoss with sentence-transformers. What the teacher didn't read, and what is left out,
    has no part in it.
    """
    similarities = queries @ documents.T * targets.scale
    columns = targets.positive_columns[:, None]
    margins = similarities.gather(1, columns) - similarities
    wanted = targets.scores.gather(1, columns) - targets.scores
    counted = (targets.own & (targets.labels == 0) & ~wanted.isnan()).nonzero(as_tuple=True)
    errors = margins[counted] - wanted[counted]
    return errors.square().sum() / max(1, len(errors))
