"""Scores apart for queries whose documents moved and for the rest."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from embedtune.data.dataset import RetrievalDataset
from embedtune.evaluate.scores import Scores

__all__ = ["MOVED", "REST", "means_apart", "queries_about"]

MOVED, REST = "documents moved", "the rest"


def queries_about(dataset: RetrievalDataset, query_ids: Collection[str], document_ids: Collection[str]) -> set[str]:
    """Returns the queries that have one of these documents among their relevant ones."""
    wanted = frozenset(document_ids)
    return {query_id for query_id in query_ids if not wanted.isdisjoint(dataset.positives(query_id))}


def means_apart(scores: Scores, inside: Collection[str]) -> dict[str, dict[str, Any]]:
    """Returns for the queries inside and for the rest how many they are and their means; none for an empty group."""
    outside = [query_id for query_id in scores.query_ids if query_id not in inside]
    parts = {MOVED: scores.of(inside), REST: scores.of(outside)}
    return {
        name: {"queries": len(part.query_ids), "means": part.means() if part.query_ids else {}}
        for name, part in parts.items()
    }
