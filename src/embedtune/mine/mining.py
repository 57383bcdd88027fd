"""Positives → hard negatives: documents that look right and aren't."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.training_set import known_relevant
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder
from embedtune.options import Options
from embedtune.search.vector_index import VectorIndex

__all__ = ["MineOptions", "MiningReport", "mine_negatives"]


class MineOptions(Options):
    """Which of the documents found are taken as negatives."""

    depth: int = Field(default=30, ge=1, description="How many of a query's best documents to look at.")
    negatives: int = Field(default=7, ge=1, description="How many negatives to keep for a query.")
    positive_share: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="A document scoring over this share of the query's lowest-scored positive is dropped as "
        "probably relevant (NV-Retriever, arXiv 2407.15831, TopK-PercPos).",
    )


@dataclass(frozen=True)
class MiningReport:
    """The negatives by query id, hardest first, and how many were dropped by which rule."""

    negatives: Mapping[str, list[str]]
    known_positives_dropped: int
    probable_positives_dropped: int
    queries_without_negatives: int


def mine_negatives(
    dataset: RetrievalDataset,
    encoder: Encoder,
    *,
    split: str = "train",
    cache: EmbeddingCache | None = None,
    options: MineOptions | None = None,
) -> MiningReport:
    """Returns for each query of the split its nearest documents that aren't relevant to it.

    Never a negative: a document relevant to the query in any split, one with the same text as
    such a document, one relevant to a query of the same text. A query without a relevant
    document gets none. Prompts are the encoder's own, as in evaluation.
    """
    options = options or MineOptions()
    cache = cache or EmbeddingCache(None)
    forbidden = known_relevant(dataset)
    query_ids = [query_id for query_id in dataset.split_query_ids(split) if dataset.positives(query_id)]
    vectors = cache.encode(encoder, list(dataset.corpus.values()), "document")
    query_vectors = cache.encode(encoder, [dataset.queries[query_id] for query_id in query_ids], "query")
    place = {document_id: row for row, document_id in enumerate(dataset.corpus)}
    rankings = VectorIndex(vectors, list(dataset.corpus)).search(query_vectors, options.depth)
    known = probable = 0
    negatives: dict[str, list[str]] = {}
    for query_id, query_vector, documents in zip(query_ids, query_vectors, rankings, strict=True):
        positives = vectors[[place[document_id] for document_id in dataset.positives(query_id)]]
        ceiling = _ceiling(float(np.min(positives @ query_vector)), options.positive_share)
        candidates = [document for document in documents if document.document_id not in forbidden[query_id]]
        kept = [document.document_id for document in candidates if document.score <= ceiling]
        known += len(documents) - len(candidates)
        probable += len(candidates) - len(kept)
        negatives[query_id] = kept[: options.negatives]
    return MiningReport(negatives, known, probable, sum(not kept for kept in negatives.values()))


def _ceiling(positive_score: float, share: float) -> float:
    """The highest score a negative may have; under a negative score a share would be above it."""
    return min(positive_score, share * positive_score)
