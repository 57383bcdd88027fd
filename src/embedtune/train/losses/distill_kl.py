"""Learns how a teacher spreads its preference over the positive and the hard negatives."""

from __future__ import annotations

import torch
from torch import Tensor

from embedtune.train.losses import infonce
from embedtune.train.targets import Targets

__all__ = ["NEEDS", "loss"]

NEEDS = "teacher_scores"
_FEWEST = 2


def loss(queries: Tensor, documents: Tensor, targets: Targets) -> Tensor:
    """Returns the mean over queries of KL(teacher || model) over the query's own documents.

    Both are softmaxes, of the teacher's scores and of cosine times `scale`. As DistillKLDivLoss in
    sentence-transformers, which multiplies it by student_temperature² besides. What the teacher
    didn't read, and what is left out, has no part in it. `infonce_weight` adds that much of
    infonce: a little of it beside distillation did best in https://arxiv.org/abs/2505.19274.
    """
    read = targets.own & ~targets.left_out & ~targets.scores.isnan()
    rows = read.sum(dim=1) >= _FEWEST
    unread = ~read[rows]
    student = (queries[rows] @ documents.T * targets.scale).masked_fill(unread, float("-inf"))
    teacher = targets.scores[rows].masked_fill(unread, float("-inf"))
    wanted = torch.softmax(teacher, dim=1)
    gaps = torch.log_softmax(teacher, dim=1).masked_fill(unread, 0.0)
    gaps = gaps - torch.log_softmax(student, dim=1).masked_fill(unread, 0.0)
    divergence = (wanted * gaps).sum() / max(1, int(rows.sum()))
    if not targets.infonce_weight:
        return divergence
    return divergence + targets.infonce_weight * infonce.loss(queries, documents, targets)
