"""Batches in which nothing relevant stands as a negative."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

import torch
from sentence_transformers.base.sampler import DefaultBatchSampler

from embedtune.data.training_set import TrainingSet

__all__ = ["PlannedSampler", "conflict_free_batches", "plan_batches", "positions_of", "shuffled_batches"]

_FEWEST_PAIRS = 2


def plan_batches(
    training_set: TrainingSet, batch_size: int, *, epochs: int, seed: int, negatives_shared: bool = True
) -> list[list[int]]:
    """Returns the batches of all epochs, each epoch shuffled anew, as positions of examples.

    `negatives_shared` says that the documents of a batch are each other's negatives.
    """
    make = conflict_free_batches if negatives_shared else shuffled_batches
    return [batch for epoch in range(epochs) for batch in make(training_set, batch_size, seed + epoch)]


def conflict_free_batches(training_set: TrainingSet, batch_size: int, seed: int) -> list[list[int]]:
    """Returns an epoch's batches as positions of examples, shuffled by the seed.

    In a batch no query text and no positive appears twice, and no positive is relevant to
    another query. An example that conflicts waits for a later batch. A last batch of one
    example without negatives has nothing to tell apart and is dropped.
    """
    waiting = list(range(len(training_set.examples)))
    random.Random(seed).shuffle(waiting)
    batches = []
    while waiting:
        batch, waiting = _fill_batch(training_set, waiting, batch_size)
        if len(batch) > 1 or training_set.examples[batch[0]].negative_ids:
            batches.append(batch)
    return batches


def shuffled_batches(training_set: TrainingSet, batch_size: int, seed: int) -> list[list[int]]:
    """Returns an epoch's batches where documents of a batch aren't set against each other's queries."""
    order = list(range(len(training_set.examples)))
    random.Random(seed).shuffle(order)
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return batches if len(batches[-1]) >= _FEWEST_PAIRS else batches[:-1]


def _fill_batch(training_set: TrainingSet, waiting: list[int], batch_size: int) -> tuple[list[int], list[int]]:
    """Returns a batch of the first examples that agree, and those that wait on, in order."""
    batch: list[int] = []
    skipped: list[int] = []
    queries: set[str] = set()
    positives: set[str] = set()
    relevant: set[str] = set()
    for place, position in enumerate(waiting):
        if len(batch) == batch_size:
            return batch, skipped + waiting[place:]
        example = training_set.examples[position]
        query = training_set.dataset.queries[example.query_id].strip()
        conflicts = training_set.conflicts[example.query_id]
        if query in queries or example.positive_id in relevant or not positives.isdisjoint(conflicts):
            skipped.append(position)
            continue
        batch.append(position)
        queries.add(query)
        positives.add(example.positive_id)
        relevant |= conflicts
    return batch, skipped


class PlannedSampler(DefaultBatchSampler):
    """Gives the trainer the batches of a plan, from one of them on."""

    def __init__(self, batches: Sequence[list[int]], start: int = 0) -> None:
        super().__init__(range(len(batches)), batch_size=max(map(len, batches), default=1), drop_last=False)
        self._batches = batches[start:]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


class PositionsCollator:
    """Hands the positions of a batch's examples on, for the training step to tokenize."""

    valid_label_columns: Sequence[str] = ("label",)

    def __call__(self, rows: Sequence[Mapping[str, int]]) -> dict[str, torch.Tensor]:
        """Returns {"example": (batch,) int64}."""
        return {"example": torch.tensor([row["example"] for row in rows])}


def positions_of(inputs: Mapping[str, torch.Tensor]) -> list[int]:
    """Returns the positions in what the collator gave."""
    found: list[int] = inputs["example"].tolist()
    return found
