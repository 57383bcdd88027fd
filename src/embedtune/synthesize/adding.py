"""Puts made queries into a dataset and records how each was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from embedtune.data.dataset import RetrievalDataset
from embedtune.synthesize.query import SyntheticQuery

__all__ = ["RECORD_FIELD", "Added", "add_queries"]

RECORD_FIELD = "synthesis"
"""Extra field of a dataset: `runs`, a list of how queries were made, and `queries`, query id → run, kind, language."""


class Added(NamedTuple):
    """The dataset with its new queries, which ones they are, and how many were in it already."""

    dataset: RetrievalDataset
    queries: dict[str, SyntheticQuery]
    repeated: int


def add_queries(
    dataset: RetrievalDataset,
    made: Iterable[SyntheticQuery],
    record: Mapping[str, Any],
    split: str,
    copies: Mapping[str, Sequence[str]],
) -> Added:
    """Returns the dataset with the queries in `split`; what was in it stays.

    A query of the same text for the same document is added once. `copies` are the documents that
    have the same text as another, and so answer its queries too.
    """
    texts = dict(dataset.queries)
    fresh: dict[str, SyntheticQuery] = {}
    repeated = 0
    for query in made:
        query_id = _free_id(query, texts)
        if query_id is None:
            repeated += 1
        else:
            texts[query_id], fresh[query_id] = query.text, query
    answers = {query_id: query.answer for query_id, query in fresh.items() if query.answer}
    relevant: dict[str, Any] = {
        query_id: [query.document_id, *copies.get(query.document_id, ())] for query_id, query in fresh.items()
    }
    splits = {name: list(ids) for name, ids in dataset.queries_split.items()}
    splits[split] = [*splits.get(split, ()), *fresh]
    filled = replace(
        dataset,
        queries=texts,
        relevant_docs=dict(dataset.relevant_docs) | relevant,
        reference_answers=dict(dataset.reference_answers) | answers,
        queries_split=splits,
        extra=dict(dataset.extra) | {RECORD_FIELD: _recorded(dataset, fresh, record)},
    )
    return Added(filled, fresh, repeated)


def _free_id(query: SyntheticQuery, texts: Mapping[str, str]) -> str | None:
    """Returns the query's id, another one where a different query has it, None where it is there already."""
    query_id, number = query.query_id(), 1
    while query_id in texts:
        if texts[query_id] == query.text:
            return None
        number += 1
        query_id = f"{query.query_id()}-{number}"
    return query_id


def _recorded(
    dataset: RetrievalDataset, fresh: Mapping[str, SyntheticQuery], record: Mapping[str, Any]
) -> dict[str, Any]:
    before = dataset.extra.get(RECORD_FIELD) or {}
    runs = list(before.get("runs", ()))
    queries = {
        query_id: {"run": len(runs), "kind": query.kind, "language": query.language}
        for query_id, query in fresh.items()
    }
    return {"runs": [*runs, dict(record)], "queries": dict(before.get("queries", {})) | queries}
