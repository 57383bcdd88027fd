"""A loss at several lengths of the vectors at once, so that vectors may be cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from embedtune.train.targets import Targets

__all__ = ["LossFunction", "at_lengths"]

LossFunction = Callable[[Tensor, Tensor, Targets], Tensor]


def at_lengths(loss: LossFunction, lengths: Sequence[int]) -> LossFunction:
    """Returns the sum of a loss over vectors cut to each of the lengths and brought to unit length.

    Kusupati et al. 2022 (https://arxiv.org/abs/2205.13147), all weights 1, as MatryoshkaLoss in
    sentence-transformers.
    """
    if not lengths:
        return loss

    def summed(queries: Tensor, documents: Tensor, targets: Targets) -> Tensor:
        total = queries.new_zeros(())
        for length in lengths:
            cut = [nn.functional.normalize(vectors[:, :length], dim=1) for vectors in (queries, documents)]
            total = total + loss(cut[0], cut[1], targets)
        return total

    return summed
