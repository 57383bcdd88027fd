"""What filters took out of a dataset, kept in the dataset itself so that it can be put back.

The extra field `filter_rounds` is a list, one entry a run of filters: `filters` (name → options), `dropped`
(query id → text, labels, filter, code, reason, score, and where it stood) and `relabelled` (query id →
the labels before, filter, reason). It is JSON, so JSON files and folders of tables hold it alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import DataError

__all__ = ["FILTER_ROUNDS", "dropped_queries", "restore_queries", "with_round"]

FILTER_ROUNDS = "filter_rounds"

_TABLES = ("queries", "relevant_docs", "negative_docs", "reference_answers")

Entry = TypeVar("Entry")
Round = dict[str, Any]


def dropped_queries(dataset: RetrievalDataset) -> dict[str, dict[str, Any]]:
    """Returns query id → what is kept of each dropped query, of all runs of filters, the first one first."""
    return {query_id: entry for done in _rounds(dataset) for query_id, entry in done["dropped"].items()}


def with_round(
    dataset: RetrievalDataset, filters: Mapping[str, Any], dropped: Round, relabelled: Round
) -> RetrievalDataset:
    """Returns the dataset without the dropped queries and with the new labels, and with what it was before.

    `dropped` maps a query id to what is said of it; `relabelled` also has each query's new `labels`.
    """
    labels = {query_id: change["labels"] for query_id, change in relabelled.items()}
    done = {
        "filters": dict(filters),
        "dropped": {q: _taken_out(dataset, q) | said for q, said in dropped.items()},
        "relabelled": {
            q: {"relevant_docs": dataset.relevant_docs[q]} | {k: v for k, v in change.items() if k != "labels"}
            for q, change in relabelled.items()
        },
    }  # fmt: skip
    places = _places(dataset)
    for query_id, entry in done["dropped"].items():
        entry["places"] = places[query_id]
    tables = {name: {q: v for q, v in getattr(dataset, name).items() if q not in dropped} for name in _TABLES}
    tables["relevant_docs"] |= {q: judged for q, judged in labels.items() if q not in dropped}
    splits = {split: [q for q in ids if q not in dropped] for split, ids in dataset.queries_split.items()}
    extra = dict(dataset.extra) | {FILTER_ROUNDS: [*_rounds(dataset), done]}
    return replace(dataset, **tables, queries_split=splits, extra=extra)


def restore_queries(dataset: RetrievalDataset) -> RetrievalDataset:
    """Returns the dataset as it was before any filter, its order included; raises DataError for damaged records."""
    rounds = _rounds(dataset)
    try:
        for done in reversed(rounds):
            dataset = _without_round(dataset, done)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"the records of dropped queries are damaged: {error!r}",
            where=FILTER_ROUNDS,
            remedy="use the dataset that the filter was given",
        ) from error
    extra = {name: value for name, value in dataset.extra.items() if name != FILTER_ROUNDS}
    return replace(dataset, extra=extra)


def _rounds(dataset: RetrievalDataset) -> list[Round]:
    return list(dataset.extra.get(FILTER_ROUNDS, []))


def _taken_out(dataset: RetrievalDataset, query_id: str) -> Round:
    """Returns what the tables hold of a query."""
    return {name: getattr(dataset, name)[query_id] for name in _TABLES if query_id in getattr(dataset, name)}


def _places(dataset: RetrievalDataset) -> dict[str, dict[str, int]]:
    """Returns query id → where it stands in each table and split."""
    places: dict[str, dict[str, int]] = {query_id: {} for query_id in dataset.queries}
    lists: list[tuple[str, Iterable[str]]] = [(name, getattr(dataset, name)) for name in _TABLES]
    lists += [(f"split {split}", ids) for split, ids in dataset.queries_split.items()]
    for name, ids in lists:
        for place, query_id in enumerate(ids):
            places[query_id][name] = place
    return places


def _without_round(dataset: RetrievalDataset, done: Round) -> RetrievalDataset:
    dropped: Mapping[str, Round] = done["dropped"]
    relabelled: Mapping[str, Round] = done["relabelled"]
    tables = {}
    for name in _TABLES:
        back = {entry["places"][name]: (q, entry[name]) for q, entry in dropped.items() if name in entry["places"]}
        tables[name] = dict(_inserted(getattr(dataset, name).items(), back))
    tables["relevant_docs"] |= {query_id: entry["relevant_docs"] for query_id, entry in relabelled.items()}
    splits = {}
    for split, ids in dataset.queries_split.items():
        name = f"split {split}"
        back_ids = {entry["places"][name]: q for q, entry in dropped.items() if name in entry["places"]}
        splits[split] = _inserted(ids, back_ids)
    return replace(dataset, **tables, queries_split=splits)


def _inserted(items: Iterable[Entry], back: Mapping[int, Entry]) -> list[Entry]:
    """Returns the items with others put back so that each has the place it had."""
    merged = list(items)
    for place in sorted(back):
        merged.insert(place, back[place])
    return merged
