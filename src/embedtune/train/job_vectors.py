"""A job's vectors, encoded once and checked, for the methods that never run the model again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from embedtune.errors import EncoderError
from embedtune.evaluate.measures import Measure
from embedtune.evaluate.scores import Scores, score_run
from embedtune.models.encoder import TextKind, Vectors, load_encoder
from embedtune.search.run import RankedDocument, Run
from embedtune.search.vector_index import VectorIndex
from embedtune.train.job import TrainingJob

__all__ = ["JobVectors"]

_UNIT = 1e-2
"""More than bfloat16 rounds off a unit vector's length."""


@dataclass(frozen=True)
class JobVectors:
    """Vectors of the whole corpus and of the train and val queries, rows in the order of the ids.

    `encoded` says how many texts weren't in the cache.
    """

    job: TrainingJob
    documents: Vectors
    train_ids: Sequence[str]
    train: Vectors
    val_ids: Sequence[str]
    val: Vectors
    encoded: Mapping[str, int]

    @classmethod
    def encode(cls, job: TrainingJob, val_split: str) -> JobVectors:
        """Returns the vectors of a job; queries without a relevant document are left out.

        Raises EncoderError for vectors that can't be used.
        """
        dataset = job.training_set.dataset
        train_ids = list(dict.fromkeys(example.query_id for example in job.training_set.examples))
        val_ids = [query_id for query_id in dataset.split_query_ids(val_split) if dataset.positives(query_id)]
        encoder = load_encoder(job.encoder, job.encoder_options)
        documents = job.cache.encode_corpus(encoder, dataset.corpus)
        queries = job.cache.encode(encoder, [dataset.queries[i] for i in (*train_ids, *val_ids)], "query")
        encoded = {"documents": job.encoded("document"), "queries": job.encoded("query")}
        _refuse_unusable(documents, list(dataset.corpus), "document")
        _refuse_unusable(queries, [*train_ids, *val_ids], "query")
        count = len(train_ids)
        return cls(job, documents, train_ids, queries[:count], val_ids, queries[count:], encoded)

    @cached_property
    def document_row(self) -> dict[str, int]:
        """Returns document id → its row."""
        return {document_id: row for row, document_id in enumerate(self.job.training_set.dataset.corpus)}

    @cached_property
    def train_row(self) -> dict[str, int]:
        """Returns train query id → its row."""
        return {query_id: row for row, query_id in enumerate(self.train_ids)}

    def score_val(self, index: VectorIndex, queries: Vectors, measures: Sequence[Measure]) -> Scores:
        """Returns the val queries' scores when these vectors stand for them."""
        return self.score_rankings(index.search(queries, max(measure.cutoff for measure in measures)), measures)

    def score_rankings(self, rankings: Sequence[Sequence[RankedDocument]], measures: Sequence[Measure]) -> Scores:
        """Returns the val queries' scores for ranked lists in their order."""
        run = Run(dict(zip(self.val_ids, rankings, strict=True)))
        return score_run(run, self.job.training_set.dataset.qrels(list(self.val_ids)), self.val_ids, measures)


def _refuse_unusable(vectors: Vectors, ids: Sequence[str], kind: TextKind) -> None:
    """Raises EncoderError for vectors that aren't finite, are zero, or aren't of unit length."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    for wrong, words in (
        (~np.isfinite(lengths), "holds NaN or infinite numbers"),
        (lengths == 0, "is zero in every place"),
        (np.abs(lengths - 1) > _UNIT, "isn't of unit length, as cosine similarity needs it"),
    ):
        places = np.flatnonzero(wrong)
        if len(places):
            raise EncoderError(
                f"the vector of {len(places)} of {len(ids)} {'queries' if kind == 'query' else 'documents'} {words}",
                where=f"{kind} {ids[places[0]]!r}",
                remedy="check the model with embedtune eval; damaged weights give such vectors, and a model that "
                "compares by dot product has vectors of any length",
            )
