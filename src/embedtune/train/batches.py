"""Batches in which nothing relevant stands as a negative."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from sentence_transformers.base.sampler import DefaultBatchSampler

from embedtune.data.training_set import TrainingExample, TrainingSet
from embedtune.models.encoder import TextKind
from embedtune.models.trainable import TrainableForward

__all__ = ["BatchCollator", "ConflictFreeSampler", "conflict_free_batches", "documents_of", "label_batch"]


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


class ConflictFreeSampler(DefaultBatchSampler):
    """Gives the trainer conflict-free batches, new ones every epoch."""

    def __init__(self, training_set: TrainingSet, batch_size: int, seed: int) -> None:
        super().__init__(range(len(training_set.examples)), batch_size=batch_size, drop_last=False, seed=seed)
        self.training_set = training_set
        self.epoch = 0

    def _batches(self) -> list[list[int]]:
        return conflict_free_batches(self.training_set, self.batch_size, self.seed + self.epoch)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches())

    def __len__(self) -> int:
        return len(self._batches())


def documents_of(examples: Sequence[TrainingExample]) -> list[str]:
    """Returns the distinct documents of a batch, positives first."""
    positives = [example.positive_id for example in examples]
    return list(dict.fromkeys([*positives, *(d for example in examples for d in example.negative_ids)]))


def label_batch(
    training_set: TrainingSet, examples: Sequence[TrainingExample], documents: Sequence[str]
) -> torch.Tensor:
    """Returns (queries, documents) int64: 1 the query's positive, 0 a negative, -1 what its softmax leaves out.

    Left out is a document that is relevant to the query by any judgement.
    """
    column = {document_id: place for place, document_id in enumerate(documents)}
    labels = torch.zeros(len(examples), len(documents), dtype=torch.int64)
    for row, example in enumerate(examples):
        conflicts = training_set.conflicts[example.query_id]
        labels[row, [column[document_id] for document_id in conflicts if document_id in column]] = -1
        labels[row, column[example.positive_id]] = 1
    return labels


class BatchCollator:
    """Turns examples into the queries and the distinct documents of a batch, tokenized; `label` is label_batch's."""

    valid_label_columns: Sequence[str] = ("label",)

    def __init__(self, training_set: TrainingSet, forward_pass: TrainableForward) -> None:
        self.training_set = training_set
        self.forward_pass = forward_pass

    def __call__(self, rows: Sequence[Mapping[str, int]]) -> dict[str, Any]:
        """Returns the tokenized texts, their names prefixed by query_ or document_, and the label."""
        examples = [self.training_set.examples[row["example"]] for row in rows]
        documents = documents_of(examples)
        dataset = self.training_set.dataset
        queries = self._tokenize([dataset.queries[e.query_id] for e in examples], "query")
        texts = self._tokenize([dataset.corpus[document_id] for document_id in documents], "document")
        return {"label": label_batch(self.training_set, examples, documents)} | queries | texts

    def _tokenize(self, texts: list[str], kind: TextKind) -> dict[str, Any]:
        return {f"{kind}_{name}": value for name, value in self.forward_pass.tokenize(texts, kind).items()}
