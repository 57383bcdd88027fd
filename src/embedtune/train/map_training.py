"""Trains a map of query vectors against document vectors that stay as they are."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from embedtune import progress
from embedtune.errors import EmbedtuneError
from embedtune.evaluate.measures import Measure
from embedtune.models.vector_map import VectorMap
from embedtune.search.vector_index import VectorIndex
from embedtune.train.batches import conflict_free_batches
from embedtune.train.job import Checkpoint
from embedtune.train.job_vectors import JobVectors
from embedtune.train.losses.infonce import contrastive_loss
from embedtune.train.methods.adapter import AdapterOptions
from embedtune.train.targets import documents_of, label_batch

__all__ = ["TrainedMap", "train_map"]


class TrainedMap(NamedTuple):
    """The map that was best on val, None where the base was, and every validation."""

    best: VectorMap | None
    checkpoints: list[Checkpoint]


class _Update(nn.Module):
    """What is added to a query vector; zero at the start, and its weights decay towards zero."""

    def __init__(self, dim: int, options: AdapterOptions) -> None:
        super().__init__()
        self.shape = options.shape
        generator = torch.Generator().manual_seed(options.seed)
        width = {"linear": dim, "low-rank": options.rank, "hidden": options.units}[options.shape]
        self.outer = nn.Parameter(torch.zeros(dim, width))
        if options.shape != "linear":
            self.inner = nn.Parameter(torch.randn(width, dim, generator=generator) / math.sqrt(dim))
        if options.shape == "hidden":
            self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, queries: Tensor) -> Tensor:
        """Returns the mapped queries, of unit length."""
        hidden = queries if self.shape == "linear" else queries @ self.inner.T
        if self.shape == "hidden":
            hidden = torch.relu(hidden + self.bias)
        return normalize(queries + hidden @ self.outer.T)

    def as_map(self) -> VectorMap:
        """Returns the map as it is now."""
        with torch.no_grad():
            if self.shape == "hidden":
                return VectorMap.hidden(self.inner, self.bias, self.outer)
            return VectorMap.linear(self.outer if self.shape == "linear" else self.outer @ self.inner)


def train_map(vectors: JobVectors, options: AdapterOptions) -> TrainedMap:
    """Returns the map whose val score is highest, the earlier of equals; step 0 is the base itself.

    Raises EmbedtuneError where the loss isn't finite.
    """
    training_set = vectors.job.training_set
    batches = [
        batch
        for epoch in range(options.epochs)
        for batch in conflict_free_batches(training_set, options.batch_size, options.seed + epoch)
    ]
    planned = {round(len(batches) * number / options.validations) for number in range(1, options.validations + 1)}
    update = _Update(vectors.documents.shape[1], options)
    optimiser = torch.optim.AdamW(update.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, len(batches)))
    judge = _Judge(vectors, options)
    judge.validate(0, None)
    end = math.inf if options.max_minutes is None else time.monotonic() + 60 * options.max_minutes
    with progress.task("train the map", total=len(batches)) as training:
        for step, batch in enumerate(batches, start=1):
            loss = _loss(vectors, update, batch, options)
            if not math.isfinite(loss.item()):
                raise EmbedtuneError(
                    f"the loss is {loss.item()} at step {step}", remedy="lower --learning-rate; nothing was written"
                )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            judge.losses.append(loss.item())
            training.advance()
            out_of_time = time.monotonic() >= end
            if step in planned or out_of_time:
                judge.validate(step, update.as_map())
            if out_of_time and step < len(batches):
                progress.say(f"the time is over after {step} of {len(batches)} steps")
                break
    return TrainedMap(judge.best, judge.checkpoints)


def _loss(vectors: JobVectors, update: _Update, batch: list[int], options: AdapterOptions) -> Tensor:
    training_set = vectors.job.training_set
    examples = [training_set.examples[position] for position in batch]
    documents = documents_of(examples)
    queries = torch.from_numpy(vectors.train[[vectors.train_row[example.query_id] for example in examples]])
    rows = [vectors.document_row[document_id] for document_id in documents]
    labels = label_batch(training_set, examples, documents)
    return contrastive_loss(update(queries), torch.from_numpy(vectors.documents[rows]), labels, options.scale)


class _Judge:
    """Scores maps on val over the whole corpus and keeps the best."""

    def __init__(self, vectors: JobVectors, options: AdapterOptions) -> None:
        self.vectors = vectors
        self.measure = Measure.parse(options.val_measure)
        self.index = VectorIndex(vectors.documents, list(vectors.job.training_set.dataset.corpus))
        self.checkpoints: list[Checkpoint] = []
        self.losses: list[float] = []
        self.best: VectorMap | None = None

    def validate(self, step: int, query_map: VectorMap | None) -> None:
        """Scores a map, or with None the base as it is."""
        queries = self.vectors.val if query_map is None else query_map.apply(self.vectors.val)
        score = self.vectors.score_val(self.index, queries, [self.measure]).mean(str(self.measure))
        mean_loss = sum(self.losses) / len(self.losses) if self.losses else None
        self.losses.clear()
        if all(score > checkpoint.score for checkpoint in self.checkpoints):
            self.best = query_map
        self.checkpoints.append(Checkpoint(step, score, mean_loss))
        loss = "" if mean_loss is None else f", mean loss {mean_loss:.4f}"
        progress.say(f"step {step}: val {self.measure} {score:.5f}{loss}")
