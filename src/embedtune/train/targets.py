"""What a loss may know of a batch besides its vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from embedtune.data.training_set import TrainingExample, TrainingSet

__all__ = ["GuideVectors", "Targets", "documents_of", "label_batch", "targets_of"]

Scores = Mapping[str, Mapping[str, float]]
"""Query id → document id → score."""


class GuideVectors(NamedTuple):
    """What a frozen model makes of the same texts: unit vectors, (queries, its dim) and (documents, its dim)."""

    queries: Tensor
    documents: Tensor


@dataclass(frozen=True)
class Targets:
    """What is wanted of a batch; every matrix is (queries, documents).

    `labels` int64: 1 the query's positive, 0 a negative, -1 what is left out because it is known
    to be relevant or says the same as a relevant document. `own`: whether the document belongs to
    the query's example, as its positive or a hard negative. `scores` float32: NaN where unknown.
    """

    labels: Tensor
    own: Tensor
    scores: Tensor
    scale: float = 20.0
    infonce_weight: float = 0.0
    guide: GuideVectors | None = None

    @property
    def left_out(self) -> Tensor:
        """Returns which documents are neither positive nor negative."""
        return self.labels < 0

    @property
    def positive_columns(self) -> Tensor:
        """Returns (queries,) int64: the column of each query's positive."""
        return self.labels.argmax(dim=1)

    def to(self, device: torch.device) -> Targets:
        """Returns the same on a device."""
        guide = None if self.guide is None else GuideVectors(*(vectors.to(device) for vectors in self.guide))
        labels, own, scores = (matrix.to(device) for matrix in (self.labels, self.own, self.scores))
        return replace(self, labels=labels, own=own, scores=scores, guide=guide)


def documents_of(examples: Sequence[TrainingExample]) -> list[str]:
    """Returns the distinct documents of a batch, positives first."""
    positives = [example.positive_id for example in examples]
    return list(dict.fromkeys([*positives, *(d for example in examples for d in example.negative_ids)]))


def label_batch(training_set: TrainingSet, examples: Sequence[TrainingExample], documents: Sequence[str]) -> Tensor:
    """Returns the labels of a batch; see Targets."""
    column = {document_id: place for place, document_id in enumerate(documents)}
    labels = torch.zeros(len(examples), len(documents), dtype=torch.int64)
    for row, example in enumerate(examples):
        conflicts = training_set.conflicts.get(example.query_id, ())
        labels[row, [column[document_id] for document_id in conflicts if document_id in column]] = -1
        labels[row, column[example.positive_id]] = 1
    return labels


def targets_of(
    training_set: TrainingSet, examples: Sequence[TrainingExample], documents: Sequence[str], scores: Scores
) -> Targets:
    """Returns what the training set and the scores say about a batch's examples and documents."""
    column = {document_id: place for place, document_id in enumerate(documents)}
    own = torch.zeros(len(examples), len(documents), dtype=torch.bool)
    known = torch.full(own.shape, math.nan)
    for row, example in enumerate(examples):
        found = scores.get(example.query_id, {})
        for document_id in (example.positive_id, *example.negative_ids):
            own[row, column[document_id]] = True
            known[row, column[document_id]] = found.get(document_id, math.nan)
    return Targets(label_batch(training_set, examples, documents), own, known)
