"""One step of training: a batch of examples becomes gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from embedtune.data.training_set import TrainingSet
from embedtune.errors import EmbedtuneError, OptionsError
from embedtune.models.encoder import TextKind
from embedtune.models.forward import on_device
from embedtune.models.trainable import TrainableForward
from embedtune.train.gradient_cache import Backward, GradientCache
from embedtune.train.guide import Guide
from embedtune.train.kept_vectors import KeptVectors
from embedtune.train.loss_data import scores_for
from embedtune.train.losses import LOSSES
from embedtune.train.matryoshka import at_lengths
from embedtune.train.options import TrainOptions
from embedtune.train.targets import documents_of, targets_of
from embedtune.train.together import Share, add_up_gradients, anywhere

__all__ = ["DivergedError", "TrainingStep", "check_lengths"]

_NAMED_QUERIES = 8
_FALLBACK_SCALE = 20.0


class DivergedError(EmbedtuneError):
    """The loss, or a vector, is no number any more."""


class TrainingStep:
    """Tokenizes a batch, compares its vectors by the loss, and adds the gradients to the model's parameters."""

    def __init__(
        self,
        training_set: TrainingSet,
        forward_pass: TrainableForward,
        gradient_cache: GradientCache,
        options: TrainOptions,
        guide: Guide | None = None,
        kept: Sequence[KeptVectors] = (),
    ) -> None:
        self.training_set = training_set
        self.forward_pass = forward_pass
        self.gradient_cache = gradient_cache
        self.options = options
        self.guide = guide
        self.kept = kept
        self.scores = scores_for(options.loss, training_set)
        self._loss = at_lengths(LOSSES.load(options.loss).loss, options.matryoshka_dims)
        self._scale = options.scale or _FALLBACK_SCALE
        taught = LOSSES.load(options.loss).NEEDS == "teacher_scores"
        self.last_loss = math.nan
        self._temperature = options.teacher_temperature if taught else 1.0

    def __call__(self, positions: Sequence[int], backward: Backward = Tensor.backward) -> Tensor:
        """Returns the loss of the examples at these positions; raises DivergedError where it isn't finite."""
        examples = [self.training_set.examples[position] for position in positions]
        documents = documents_of(examples)
        dataset, device = self.training_set.dataset, self.gradient_cache.device
        found = targets_of(self.training_set, examples, documents, self.scores)
        targets = replace(
            found,
            scores=found.scores / self._temperature,
            scale=self._scale,
            infonce_weight=self.options.infonce_weight,
            guide=None if self.guide is None else self.guide.vectors(examples, documents),
        ).to(device)
        rows = [kept.draw(positions, len(documents)) for kept in self.kept]
        shares: list[tuple[TextKind, Share]] = [
            ("query", Share.of([dataset.queries[example.query_id] for example in examples])),
            ("document", Share.of([dataset.corpus[document_id] for document_id in documents])),
            *(
                (kept.kind, Share.of([kept.texts[row] for row in drawn]))
                for kept, drawn in zip(self.kept, rows, strict=True)
            ),
        ]

        def loss_of(*own_vectors: Tensor) -> Tensor:
            gathered = [share.gather(own) for (_, share), own in zip(shares, own_vectors, strict=True)]
            of_queries, of_documents, *of_replayed = gathered
            value = self._loss(of_queries, of_documents, targets)
            for kept, vectors, drawn in zip(self.kept, of_replayed, rows, strict=True):
                value = value + kept.loss(vectors, drawn, self._scale) / len(self.kept)
            return value

        batches = [on_device(self.forward_pass.tokenize(share.texts, kind), device) for kind, share in shares]
        loss = self.gradient_cache.backward(batches, loss_of, backward)
        if anywhere(not torch.isfinite(loss)):
            raise self._diverged(float(loss), [example.query_id for example in examples])
        add_up_gradients(self.forward_pass.model.parameters())
        self.last_loss = float(loss)
        return loss

    def _diverged(self, loss: float, query_ids: Sequence[str]) -> DivergedError:
        listed = ", ".join(query_ids[:_NAMED_QUERIES])
        more = len(query_ids) - _NAMED_QUERIES
        return DivergedError(
            f"the loss is {loss}",
            where=f"the batch of the queries {listed}" + (f" and {more} more" if more > 0 else ""),
            remedy="lower --learning-rate, or use --precision float32; look at these queries and their documents",
        )


def check_lengths(lengths: Sequence[int], dim: int | None) -> None:
    """Raises OptionsError for Matryoshka lengths that the model's vectors don't have."""
    wrong = [length for length in lengths if length < 1 or (dim is not None and length > dim)]
    if wrong:
        raise OptionsError(
            f"matryoshka_dims: {', '.join(map(str, wrong))} can't be a length of this model's vectors",
            where="matryoshka_dims",
            remedy=f"give lengths from 1 to {dim}",
        )
