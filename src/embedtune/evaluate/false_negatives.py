"""The false-negative doctor: do the negatives of a dataset look like negatives?

Two signs, over a sample of queries and by the vectors of the encoder that is to be trained: the
contrastive loss near that of guessing, and positives that score under their own negatives. Which
negatives to look at first, suspicion.py says; on its own it would cry wolf.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embedtune.data.checks.finding import snippet
from embedtune.data.dataset import RetrievalDataset
from embedtune.evaluate.doctor_options import DoctorOptions
from embedtune.evaluate.suspicion import BACKGROUND_DOCUMENTS, suspicion
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, Vectors

__all__ = ["SUSPECT", "Diagnosis", "Doubt", "diagnose"]

_EXAMPLES = 5
SUSPECT = 1.0
"""From here on a negative is suspect; benchmarks/false_negatives.py has what that catches and loses."""
_BEATEN_SHARE = 0.25
"""Above this, random documents beat positives half as often as they would if scores meant nothing."""
_TEXT_WIDTH = 90


class Doubt(NamedTuple):
    """A negative that may be relevant, its score and that of its query's lowest-scored positive, and its suspicion."""

    query_id: str
    positive_id: str
    negative_id: str
    positive_score: float
    negative_score: float
    suspicion: float


@dataclass(frozen=True)
class Diagnosis:
    """What was seen: means over the queries that have negatives; `chance` is the mean of ln(1 + n).

    `under` is the share of positives that score under one of their negatives, `suspect` the share
    of negatives that look like hidden positives (`doubts`, the likeliest first), `beaten_by_random`
    the share of (positive, random document) pairs in which the random document scores more,
    `random_loss` the loss over a positive and random documents as a share of that of guessing.
    `warnings` are whole sentences; none where nothing looks wrong.
    """

    queries: int
    loss: float
    chance: float
    under: float
    suspect: float
    beaten_by_random: float
    random_loss: float
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
    under: list[bool] = []
    beaten: list[float] = []
    at_random: list[float] = []
    doubts: list[Doubt] = []
    for query_id in chosen:
        query, against = vectors.query(query_id), vectors.documents(negatives[query_id])
        positives = vectors.documents(dataset.positives(query_id))
        own, others, drawn = positives @ query, against @ query, vectors.background @ query
        for score in own.tolist():
            losses.append(_loss(score, others, options.scale))
            chances.append(math.log1p(len(others)))
            under.append(bool(others.max() > score))
            beaten.append(float((drawn > score).mean()))
            at_random.append(_loss(score, drawn, options.scale) / math.log1p(len(drawn)))
        suspicions = suspicion(query, positives, against, vectors.background)
        weakest = dataset.positives(query_id)[int(own.argmin())]
        doubts += [
            Doubt(query_id, weakest, negative_id, float(own.min()), score, suspected)
            for negative_id, score, suspected in zip(
                negatives[query_id], others.tolist(), suspicions.tolist(), strict=True
            )
        ]
    doubts.sort(key=lambda doubt: -doubt.suspicion)
    suspects = [doubt for doubt in doubts if doubt.suspicion >= SUSPECT]
    found = Diagnosis(
        len(chosen),
        float(np.mean(losses)),
        float(np.mean(chances)),
        float(np.mean(under)),
        len(suspects) / len(doubts),
        float(np.mean(beaten)),
        float(np.mean(at_random)),
        [
            *suspects,
            *(doubt for doubt in doubts if doubt.suspicion < SUSPECT and doubt.negative_score > doubt.positive_score),
        ],
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
        drawn = random.Random(seed).sample(list(dataset.corpus), min(BACKGROUND_DOCUMENTS, len(dataset.corpus)))
        documents = list(dict.fromkeys([*documents, *drawn]))
        self._query_row = {query_id: row for row, query_id in enumerate(query_ids)}
        self._document_row = {document_id: row for row, document_id in enumerate(documents)}
        self._queries = cache.encode(encoder, [dataset.queries[query_id] for query_id in query_ids], "query")
        self._documents = cache.encode_corpus(
            encoder, {document_id: dataset.corpus[document_id] for document_id in documents}
        )
        self.background: Vectors = self.documents(drawn)

    def query(self, query_id: str) -> npt.NDArray[np.float32]:
        vector: npt.NDArray[np.float32] = self._queries[self._query_row[query_id]]
        return vector

    def documents(self, document_ids: Sequence[str]) -> Vectors:
        return self._documents[[self._document_row[document_id] for document_id in document_ids]]


def _loss(positive: float, negatives: npt.NDArray[np.float32], scale: float) -> float:
    """Returns -log softmax at the positive, van den Oord et al. 2018 (https://arxiv.org/abs/1807.03748), equation 4."""
    return float(np.logaddexp.reduce(np.append(negatives.astype(np.float64), positive) * scale) - positive * scale)


def _warnings(found: Diagnosis, dataset: RetrievalDataset, options: DoctorOptions) -> list[str]:
    warnings = []
    if found.loss >= options.chance_share * found.chance:
        warnings.append(
            f"the loss over a positive and its negatives is {found.loss:.2f}, near the {found.chance:.2f} of guessing "
            f"(ln(1 + n)): {_cause(found, options)}"
        )
    if found.under > options.under_share:
        warnings.append(
            f"{found.under:.0%} of the positives score under one of their own negatives (at most "
            f"{options.under_share:.0%} is usual): {_cause(found, options)}"
        )
    if warnings and found.doubts:
        warnings[-1] += "".join(f"\n  {_words(doubt, dataset)}" for doubt in found.doubts[:_EXAMPLES])
    return warnings


def _cause(found: Diagnosis, options: DoctorOptions) -> str:
    """Returns the likeliest cause, which is another one where even random documents aren't told apart."""
    if found.beaten_by_random > _BEATEN_SHARE:
        return (
            f"random documents score over the positive in {found.beaten_by_random:.0%} of comparisons, so the encoder "
            "can't read these texts yet: the wrong language, a missing prompt, or positives that aren't relevant"
        )
    if found.random_loss >= options.chance_share:
        return (
            f"so is the loss against random documents; this encoder's scores lie close together and need a larger "
            f"scale than {options.scale:g}"
        )
    return (
        "likely false negatives, documents that answer the query and aren't judged; mine again with embedtune mine, "
        "stricter (--positive-share 0.9) or with --rerank or --judge"
    )


def _words(doubt: Doubt, dataset: RetrievalDataset) -> str:
    query, positive, negative = (
        snippet(text, _TEXT_WIDTH)
        for text in (
            dataset.queries[doubt.query_id],
            dataset.corpus[doubt.positive_id],
            dataset.corpus[doubt.negative_id],
        )
    )
    return (
        f"query {doubt.query_id!r} {query}: negative {doubt.negative_id!r} ({doubt.negative_score:.3f}) {negative}; "
        f"positive {doubt.positive_id!r} ({doubt.positive_score:.3f}) {positive}"
    )
