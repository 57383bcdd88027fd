"""Keeps a query if a language model says that its document answers it."""

from __future__ import annotations

from pydantic import Field

from embedtune.options import Options
from embedtune.synthesize.judging import grade_pairs
from embedtune.synthesize.material import Drop, Judgement, Material

__all__ = ["OPTIONS", "LlmJudgeOptions", "judge", "needs"]


class LlmJudgeOptions(Options):
    """How well the document has to answer."""

    lowest_grade: int = Field(
        default=2,
        ge=1,
        le=3,
        description="Lowest grade to keep: 3 answers the query whole, 2 in part, 1 is about the same topic, 0 isn't.",
    )


OPTIONS = LlmJudgeOptions


def needs(options: LlmJudgeOptions) -> tuple[str, ...]:
    """Returns ("language_model",)."""
    return ("language_model",)


def judge(material: Material, options: LlmJudgeOptions) -> Judgement:
    """Drops queries whose best document is graded too low; one that no reply graded is kept, and said."""
    pairs = [(query_id, document) for query_id in material.queries for document in material.positives(query_id)]
    texts = [(material.queries[query_id], material.corpus[document]) for query_id, document in pairs]
    grades: dict[str, list[int | None]] = {query_id: [] for query_id in material.queries}
    for (query_id, _), grade in zip(pairs, grade_pairs(material.models.language_model, texts), strict=True):
        grades[query_id].append(grade)
    dropped = {}
    unjudged = 0
    for query_id, found in grades.items():
        known = [grade for grade in found if grade is not None]
        if len(known) == len(found) and max(known) < options.lowest_grade:
            reason = f"the judge gives {max(known)}, lowest {options.lowest_grade}"
            dropped[query_id] = Drop("low-grade", reason, max(known))
        elif not known:
            unjudged += 1
    notes = (f"{unjudged:,} queries are kept because no usable reply came for them",) if unjudged else ()
    return Judgement(dropped, notes=notes)
