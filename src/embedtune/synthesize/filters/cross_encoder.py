"""Keeps a query if a cross-encoder says that its document answers it."""

from __future__ import annotations

import math

from pydantic import Field

from embedtune.options import Options
from embedtune.synthesize.material import Drop, Judgement, Material

__all__ = ["OPTIONS", "CrossEncoderOptions", "judge", "needs"]


class CrossEncoderOptions(Options):
    """How sure the cross-encoder has to be."""

    lowest_score: float = Field(
        default=0.0,
        description="Lowest score of a query with its document, as the cross-encoder gives it before any sigmoid: "
        "0 is as likely relevant as not.",
    )
    best_share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Keep at most this share of the queries, the best-scored ones (InPars-v2, arXiv 2301.01820, "
        "keeps about a tenth).",
    )


OPTIONS = CrossEncoderOptions


def needs(options: CrossEncoderOptions) -> tuple[str, ...]:
    """Returns ("reranker",)."""
    return ("reranker",)


def judge(material: Material, options: CrossEncoderOptions) -> Judgement:
    """Drops queries scored too low with the best of their documents, then all but the best share."""
    scores = _scores(material)
    dropped = {
        query_id: Drop("low-score", f"scored {score:.2f}, lowest {options.lowest_score:g}", score)
        for query_id, score in scores.items()
        if score < options.lowest_score
    }
    ranked = sorted((q for q in scores if q not in dropped), key=lambda query_id: -scores[query_id])
    for query_id in ranked[math.ceil(options.best_share * len(scores)) :]:
        reason = f"scored {scores[query_id]:.2f}, not among the best {options.best_share:.0%}"
        dropped[query_id] = Drop("not-among-the-best", reason, scores[query_id])
    return Judgement(dropped)


def _scores(material: Material) -> dict[str, float]:
    """Returns query id → its score with the best of its documents."""
    if material.models.reranker is None:
        raise ValueError("needs() lets no filter come here without a reranker")
    pairs = [(query_id, document) for query_id in material.queries for document in material.positives(query_id)]
    texts = [(material.queries[query_id], material.corpus[document]) for query_id, document in pairs]
    scores = dict.fromkeys(material.queries, -math.inf)
    for (query_id, _), score in zip(pairs, material.models.reranker.score(texts).tolist(), strict=True):
        scores[query_id] = max(scores[query_id], score)
    return scores
