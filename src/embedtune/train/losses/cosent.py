"""Puts pairs in the order of their scores: for scored pairs (query, document, score)."""

from __future__ import annotations

import torch
from torch import Tensor

from embedtune.train.targets import Targets

__all__ = ["NEEDS", "loss"]

NEEDS = "scored_pairs"


def loss(queries: Tensor, documents: Tensor, targets: Targets) -> Tensor:
    """Returns log(1 + the sum of exp(scale · (cos(i) - cos(j))) over pairs i with a lower score than j).

    Su 2022 (https://kexue.fm/archives/8847), as CoSENTLoss in sentence-transformers. No document
    is another query's negative, so nothing has to be left out.
    """
    columns = targets.positive_columns
    cosines = (queries * documents[columns]).sum(dim=1) * targets.scale
    scores = targets.scores.gather(1, columns[:, None]).squeeze(1)
    lower = scores[:, None] < scores[None, :]
    wrong = (cosines[:, None] - cosines[None, :]).masked_fill(~lower, float("-inf"))
    return torch.logsumexp(torch.cat([cosines.new_zeros(1), wrong.flatten()]), dim=0)
