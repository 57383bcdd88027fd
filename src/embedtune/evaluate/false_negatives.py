"""The false-negative doctor: do the negatives of a dataset look like negatives?

Three signs, each over a sample of queries, by the vectors of the encoder that is to be trained:
the contrastive loss near that of guessing, positives that score under their own negatives, and
negatives that look like positives by several measures at once (`suspect.py`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from embedtune.data.dataset import RetrievalDataset
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, Vectors
from embedtune.options import Options

__all__ = ["Diagnosis", "DoctorOptions", "Doubt", "diagnose"]

_EXAMPLES = 5
_RANDOM_DOCUMENTS = 20
_TEXT_WIDTH = 90


class DoctorOptions(Options):
    """From where on the doctor warns."""

    scale: float = Field(default=20.0, gt=0, description="1 / temperature of the loss that is looked at.")
    chance_share: float = Field(
        default=0.8, gt=0, le=1, description="Warn from this share of ln(1 + n) on, the loss of guessing among n."
    )
    under_share: float = Field(
        default=0.1, ge=0, le=1, description="Warn if more than this share of positives score under a negative."
    )
    diagnosed_queries: int = Field(default=500, ge=1, description="Queries that are looked at, drawn by the seed.")
    seed: int = Field(default=42, description="Seeds which queries are looked at.")


class Doubt(NamedTuple):
    """A negative that scores over a positive of its query, with both scores."""

    query_id: str
    positive_id: str
    negative_id: str
    positive_score: float
    negative_score: float


@dataclass(frozen=True)
class Diagnosis:
    """What was seen: means over the queries that have negatives; `chance` is the mean of ln(1 + n).

    `under` is the share of positives that score under one of their negatives, `beaten_by_random`
    the share of (positive, random document) pairs in which the random document scores more.
    `warnings` are whole sentences; none where nothing looks wrong.
    """

    queries: int
    loss: float
    chance: float
    under: float
    beaten_by_random: float
    doubts: Sequence[Doubt]
    warnings: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """Returns the diagnosis as JSON values."""
        return vars(self) | {"doubts": [doubt._asdict() for doubt in self.doubts], "warnings": list(self.warnings)}


def diagnose(
    dataset: RetrievalDataset,
    negatives: Mapping[str, Sequence[str]],
    encoder: Encoder,
    *,
    cache: EmbeddingCache | None = None,
    options: DoctorOptions | None = None,
) -> Diagnosis | None:
    """Returns how the negatives of these queries look; None where no query has a positive and a negative.

    The loss of each (query, positive) is InfoNCE over the positive and its query's negatives alone,
    without those of other queries: ln(1 + n) is what guessing costs.
    """
    options = options or DoctorOptions()
    having = [query_id for query_id, documents in negatives.items() if documents and dataset.positives(query_id)]
    if not having:
        return None
    chosen = random.Random(options.seed).sample(having, min(options.diagnosed_queries, len(having)))
    vectors = _Vectors(dataset, negatives, chosen, encoder, cache or EmbeddingCache(None), options.seed)
    losses: list[float] = []
    chances: list[float] = []
    beaten: list[float] = []
    doubts: list[Doubt] = []
    for query_id in chosen:
        query = vectors.query(query_id)
        against = vectors.documents(negatives[query_id]) @ query
        for positive_id in dataset.positives(query_id):
            score = float((vectors.documents([positive_id]) @ query)[0])
            losses.append(_loss(score, against, options.scale))
            chances.append(math.log1p(len(against)))
            beaten.append(float((vectors.random @ query > score).mean()))
            worst = int(against.argmax())
            if against[worst] > score:
                doubts.append(Doubt(query_id, positive_id, negatives[query_id][worst], score, float(against[worst])))
    doubts.sort(key=lambda doubt: doubt.positive_score - doubt.negative_score)
    found = Diagnosis(
        len(chosen),
        float(np.mean(losses)),
        float(np.mean(chances)),
        len(doubts) / len(losses),
        float(np.mean(beaten)),
        doubts,
        (),
    )
    return Diagnosis(**vars(found) | {"warnings": _warnings(found, dataset, options)})


class _Vectors:
    """The vectors of what is looked at, each text encoded once."""

    def __init__(
        self,
        dataset: RetrievalDataset,
        negatives: Mapping[str, Sequence[str]],
        query_ids: Sequence[str],
        encoder: Encoder,
        cache: EmbeddingCache,
        seed: int,
    ) -> None:
        documents = [d for query_id in query_ids for d in (*dataset.positives(query_id), *negatives[query_id])]
        documents = list(dict.fromkeys(documents))
        self._query_row = {query_id: row for row, query_id in enumerate(query_ids)}
        self._document_row = {document_id: row for row, document_id in enumerate(documents)}
        self._queries = cache.encode(encoder, [dataset.queries[query_id] for query_id in query_ids], "query")
        self._documents = cache.encode(encoder, [dataset.corpus[document_id] for document_id in documents], "document")
        drawn = random.Random(seed).sample(range(len(documents)), min(_RANDOM_DOCUMENTS, len(documents)))
        self.random: Vectors = self._documents[drawn]

    def query(self, query_id: str) -> npt.NDArray[np.float32]:
        return self._queries[self._query_row[query_id]]

    def documents(self, document_ids: Sequence[str]) -> Vectors:
        return self._documents[[self._document_row[document_id] for document_id in document_ids]]


def _loss(positive: float, negatives: npt.NDArray[np.float32], scale: float) -> float:
    """Returns -log softmax at the positive, van den Oord et al. 2018 (https://arxiv.org/abs/1807.03748), equation 4."""
    return float(np.logaddexp.reduce(np.append(negatives.astype(np.float64), positive) * scale) - positive * scale)
