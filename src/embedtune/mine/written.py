"""A dataset with what mining found in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from embedtune.data.dataset import RetrievalDataset
from embedtune.mine.report import MiningReport

__all__ = ["with_negatives"]


def with_negatives(dataset: RetrievalDataset, report: MiningReport) -> RetrievalDataset:
    """Returns the dataset with the mined negatives, relabelled positives and teacher scores.

    The negatives of the mined queries are replaced, those of other queries stay. Two fields of
    `extra`: `negative_sources` (query id → document id → where it was found) and, with a teacher,
    `teacher_scores` (query id → document id → score).
    """
    sources = {
        query_id: {found.document_id: found.source for found in mined} for query_id, mined in report.mined.items()
    }
    extra = dict(dataset.extra) | {"negative_sources": _merged(dataset.extra.get("negative_sources"), sources)}
    if report.teacher_scores:
        extra["teacher_scores"] = _merged(dataset.extra.get("teacher_scores"), report.teacher_scores)
    return replace(
        dataset,
        negative_docs={**dataset.negative_docs, **report.negatives},
        relevant_docs=dict(dataset.relevant_docs) | _relabelled(dataset, report),
        extra=extra,
    )


def _merged(old: Any, new: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    kept = old if isinstance(old, Mapping) else {}
    return dict(kept) | {query_id: dict(values) for query_id, values in new.items()}


def _relabelled(dataset: RetrievalDataset, report: MiningReport) -> dict[str, list[str] | dict[str, float]]:
    """Returns the judgements of the queries that got new positives, graded like their lowest-graded one."""
    changed: dict[str, list[str] | dict[str, float]] = {}
    for query_id, documents in report.relabelled.items():
        judged = dataset.relevant_docs[query_id]
        if isinstance(judged, Mapping):
            grade = min(grade for grade in judged.values() if grade > 0)
            changed[query_id] = dict(judged) | dict.fromkeys(documents, grade)
        else:
            changed[query_id] = [*judged, *documents]
    return changed
