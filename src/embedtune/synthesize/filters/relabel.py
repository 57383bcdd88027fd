"""Adds or moves a query's label where another document answers it better, by a cross-encoder or a judge."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field

from embedtune.options import Options
from embedtune.synthesize.judging import grade_pairs
from embedtune.synthesize.material import Judgement, Material, Relabel, RelevantDocs

__all__ = ["OPTIONS", "RelabelOptions", "judge", "needs"]


class RelabelOptions(Options):
    """Who compares which documents, and what a better one has to be."""

    relabel_by: Literal["cross-encoder", "llm-judge"] = Field(
        default="cross-encoder", description="Who scores the documents."
    )
    relabel_how: Literal["add", "move"] = Field(
        default="add",
        description="add makes the better documents relevant too (as RLHN relabels false negatives, arXiv "
        "2505.16967); move makes the best one the only relevant one.",
    )
    candidates_by: Literal["bm25", "dense", "hybrid"] = Field(
        default="bm25", description="Who finds the documents to compare with the query's own."
    )
    candidates: int = Field(default=10, ge=1, description="How many of the documents found are scored.")
    margin: float = Field(
        default=1.0,
        ge=0,
        description="How much higher another document has to score than the best of the query's own: in log-odds "
        "for a cross-encoder, in grades of 0 to 3 for a judge.",
    )


OPTIONS = RelabelOptions


class _Pair(NamedTuple):
    query_id: str
    document_id: str


def needs(options: RelabelOptions) -> tuple[str, ...]:
    """Returns the model that scores, and the encoder where it finds the candidates."""
    scorer = "reranker" if options.relabel_by == "cross-encoder" else "language_model"
    return (scorer,) if options.candidates_by == "bm25" else (scorer, "encoder")


def judge(material: Material, options: RelabelOptions) -> Judgement:
    """Drops nothing; gives new labels to queries that another document answers better by the margin."""
    run = material.retriever(options.candidates_by).retrieve(material.queries, options.candidates)
    pairs = [
        _Pair(query_id, document_id)
        for query_id in material.queries
        for document_id in dict.fromkeys([*material.positives(query_id), *run.document_ids(query_id)])
    ]
    scores = dict(zip(pairs, _scores(material, pairs, options), strict=True))
    changed: dict[str, Relabel] = {}
    unjudged = 0
    for query_id in material.queries:
        own = [score for d in material.positives(query_id) if (score := scores[_Pair(query_id, d)]) is not None]
        if not own:
            unjudged += 1
            continue
        better = _better(query_id, run.document_ids(query_id), scores, max(own) + options.margin)
        better = [document_id for document_id in better if document_id not in material.positives(query_id)]
        if better:
            changed[query_id] = _relabelled(material, query_id, better, scores, max(own), options.relabel_how)
    notes = (f"{unjudged:,} queries keep their label, because their own documents weren't judged",) if unjudged else ()
    return Judgement(relabelled=changed, notes=notes)


def _better(query_id: str, documents: list[str], scores: dict[_Pair, float | None], least: float) -> list[str]:
    """Returns the documents that score at least so much, the best first."""
    scored = [(d, score) for d in documents if (score := scores[_Pair(query_id, d)]) is not None and score >= least]
    return [document_id for document_id, _ in sorted(scored, key=lambda found: -found[1])]


def _relabelled(
    material: Material, query_id: str, better: list[str], scores: dict[_Pair, float | None], own: float, how: str
) -> Relabel:
    chosen = better if how == "add" else better[:1]
    reason = (
        f"{'also' if how == 'add' else 'now'} {chosen[0]!r}: {scores[_Pair(query_id, chosen[0])]:.2f} against {own:.2f}"
    )
    judged = material.relevant_docs[query_id]
    if isinstance(judged, list):
        labels: RelevantDocs = [*judged, *chosen] if how == "add" else chosen
    else:
        grade = max(judged.values())
        labels = (dict(judged) if how == "add" else {}) | dict.fromkeys(chosen, grade)
    return Relabel(labels, reason)


def _scores(material: Material, pairs: list[_Pair], options: RelabelOptions) -> list[float | None]:
    texts = [(material.queries[pair.query_id], material.corpus[pair.document_id]) for pair in pairs]
    if options.relabel_by == "llm-judge":
        return [None if grade is None else float(grade) for grade in grade_pairs(material.models.language_model, texts)]
    if material.models.reranker is None:
        raise ValueError("needs() lets no filter come here without a reranker")
    return list(material.models.reranker.score(texts).tolist())
