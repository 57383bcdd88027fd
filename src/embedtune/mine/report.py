"""What mining found: the negatives, where each came from, and what was dropped by which rule."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

__all__ = ["RULES", "MinedNegative", "MiningReport", "MiningSample", "Rule", "Source"]

Source = Literal["dense", "bm25", "hybrid", "deeper", "bm25 fill-up", "random"]
Rule = Literal["known positive", "leaked positive", "near-duplicate", "empty text", "teacher", "score"]
RULES: tuple[Rule, ...] = ("known positive", "leaked positive", "near-duplicate", "empty text", "teacher", "score")
_SAMPLES = 20
_BINS = 10
_RANKS = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500, 1000)


class MinedNegative(NamedTuple):
    """A negative, its rank in the list that it was found in (0 if drawn at random), its score by the encoder."""

    document_id: str
    rank: int
    score: float
    source: Source


class MiningSample(NamedTuple):
    """A query, its lowest-scored positive and one of its negatives, to be read by a person."""

    query_id: str
    query: str
    positive_id: str
    positive: str
    positive_score: float
    negative: MinedNegative
    text: str


@dataclass(frozen=True)
class MiningReport:
    """The negatives by query id, the hardest first or as they were drawn, and how they came about.

    `dropped` counts candidates by the first rule that dropped them; of near-duplicates and of what
    a teacher dropped only those count that would have been taken. `relabelled` maps a query to the
    documents that a teacher found as relevant as its best positive, `teacher_scores` to the scores
    of all that the teacher read. `positive_scores` are the encoder's for each query's lowest-scored
    positive. `leaks` are pairs (training query, query of another split that asks almost the same).
    """

    mined: Mapping[str, Sequence[MinedNegative]]
    dropped: Mapping[Rule, int]
    positive_scores: Mapping[str, float]
    teacher_scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    relabelled: Mapping[str, Sequence[str]] = field(default_factory=dict)
    leaks: Sequence[tuple[str, str]] = ()
    unread_by_teacher: int = 0
    samples: Sequence[MiningSample] = ()

    @cached_property
    def negatives(self) -> dict[str, list[str]]:
        """Returns query id → document ids."""
        return {query_id: [found.document_id for found in mined] for query_id, mined in self.mined.items()}

    @property
    def known_positives_dropped(self) -> int:
        """Returns how many candidates were known to be relevant."""
        return self.dropped["known positive"] + self.dropped["leaked positive"]

    @property
    def probable_positives_dropped(self) -> int:
        """Returns how many candidates scored too much like a positive."""
        return self.dropped["score"]

    @property
    def queries_without_negatives(self) -> int:
        """Returns how many queries have none."""
        return sum(not mined for mined in self.mined.values())

    @property
    def sources(self) -> dict[Source, int]:
        """Returns how many negatives came from where."""
        counts: dict[Source, int] = {}
        for mined in self.mined.values():
            for found in mined:
                counts[found.source] = counts.get(found.source, 0) + 1
        return counts

    def rank_histogram(self) -> list[tuple[str, int]]:
        """Returns (ranks, number of negatives) for ranges of ranks; those without a rank are "random"."""
        ranks = np.array([found.rank for mined in self.mined.values() for found in mined], dtype=np.int64)
        edges = [*_RANKS, max(int(ranks.max(initial=0)), _RANKS[-1]) + 1]
        counts = [int(((ranks >= low) & (ranks < high)).sum()) for low, high in pairwise(edges)]
        rows = [
            (str(low) if high == low + 1 else f"{low}-{high - 1}", count)
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
            if count
        ]
        drawn = int((ranks == 0).sum())
        return [*rows, ("random", drawn)] if drawn else rows

    def score_histogram(self) -> list[tuple[float, float, int, int]]:
        """Returns (from, to, number of negatives, of lowest-scored positives) for ten ranges of the encoder's score."""
        negatives = np.array([found.score for mined in self.mined.values() for found in mined])
        positives = np.array(list(self.positive_scores.values()))
        together = np.concatenate([negatives, positives])
        if not together.size:
            return []
        edges = np.histogram_bin_edges(together, bins=_BINS)
        counts = [np.histogram(values, edges)[0].tolist() for values in (negatives, positives)]
        return list(zip(edges[:-1].tolist(), edges[1:].tolist(), *counts, strict=True))

    def to_json(self) -> dict[str, Any]:
        """Returns everything but the negatives themselves, as JSON values."""
        return {
            "queries": len(self.mined),
            "negatives": sum(len(mined) for mined in self.mined.values()),
            "queries_without_negatives": self.queries_without_negatives,
            "dropped": dict(self.dropped),
            "sources": self.sources,
            "relabelled": sum(len(documents) for documents in self.relabelled.values()),
            "unread_by_teacher": self.unread_by_teacher,
            "leaks": [list(pair) for pair in self.leaks],
            "ranks": [{"ranks": ranks, "negatives": count} for ranks, count in self.rank_histogram()],
            "scores": [
                {"from": round(low, 4), "to": round(high, 4), "negatives": negatives, "positives": positives}
                for low, high, negatives, positives in self.score_histogram()
            ],
            "samples": [sample._asdict() | {"negative": sample.negative._asdict()} for sample in self.samples],
        }


def draw_samples(
    mined: Mapping[str, Sequence[MinedNegative]],
    queries: Mapping[str, str],
    corpus: Mapping[str, str],
    lowest: Mapping[str, tuple[str, float]],
    seed: int,
) -> list[MiningSample]:
    """Returns twenty negatives with their query and its lowest-scored positive, drawn from different queries."""
    generator = random.Random(seed)
    having = [query_id for query_id, found in mined.items() if found]
    samples = []
    for query_id in generator.sample(having, min(_SAMPLES, len(having))):
        negative = generator.choice(mined[query_id])
        positive_id, score = lowest[query_id]
        samples.append(
            MiningSample(
                query_id,
                queries[query_id],
                positive_id,
                corpus[positive_id],
                score,
                negative,
                corpus[negative.document_id],
            )
        )
    return samples
