"""What the splits share and shouldn't."""

from __future__ import annotations

from collections.abc import Iterator

from embedtune.data.checks.finding import Finding, counted, finding, snippet
from embedtune.data.checks.view import TRAIN, DatasetView

__all__ = ["check_leakage"]

_ERROR_SHARE = 0.01
"""From here on leaked queries alone can move a score by a point. BEIR's SciFact has 2 of 300."""


def check_leakage(view: DatasetView) -> Iterator[Finding]:
    """Yields queries and documents that stand in more than one split, and queries in none."""
    yield from _queries_in_two_splits(view)
    yield from _leaked_queries(view)
    yield from _nearly_leaked_queries(view)
    yield from _shared_documents(view)
    yield from _shared_near_documents(view)
    yield from _queries_in_no_split(view)


def _queries_in_two_splits(view: DatasetView) -> Iterator[Finding]:
    twice = {query_id: splits for query_id, splits in view.splits_of.items() if len(set(splits)) > 1}
    if twice:
        yield finding(
            "error",
            "query-in-two-splits",
            f"{counted(len(twice), 'query is', 'queries are')} listed in more than one split",
            twice,
            (f"{query_id!r} is in {' and '.join(splits)}" for query_id, splits in twice.items()),
            "list it once; --fix keeps it where it is scored and takes it out of train",
        )


def _leaked_queries(view: DatasetView) -> Iterator[Finding]:
    leaking = [group for group in view.same_queries if len(view.splits_among(group)) > 1]
    if leaking:
        share = _scored_share(view, {query_id for group in leaking for query_id in group})
        yield finding(
            "error" if share >= _ERROR_SHARE else "warning",
            "leaked-queries",
            f"{counted(len(leaking), 'query text is', 'query texts are')} in more than one split, so the answers are "
            f"known before the exam ({share:.1%} of a scored split's queries)",
            (query_id for group in leaking for query_id in group),
            (_where(view, group) for group in leaking),
            "split again with embedtune split; --fix takes them out of train",
        )


def _scored_share(view: DatasetView, leaked: set[str]) -> float:
    """Returns the largest share of leaked queries that a split other than train has."""
    scored = [ids for split, ids in view.dataset.queries_split.items() if split != TRAIN and ids]
    return max((len(leaked.intersection(ids)) / len(ids) for ids in scored), default=0.0)


def _nearly_leaked_queries(view: DatasetView) -> Iterator[Finding]:
    leaking = [
        group
        for group in view.near_queries
        if len(view.splits_among(group)) > 1 and not view.same_text(view.dataset.queries, group)
    ]
    if leaking:
        yield finding(
            "warning",
            "nearly-leaked-queries",
            f"{counted(len(leaking), 'group')} of queries that differ in a word or two stand in more than one split",
            (query_id for group in leaking for query_id in group),
            (_where(view, group) for group in leaking),
            "see whether they ask for the same; embedtune split keeps them on one side",
        )


def _shared_documents(view: DatasetView) -> Iterator[Finding]:
    shared = {document_id: None for document_id, splits in view.splits_of_document.items() if _crosses(splits)}
    if shared:
        scored = [split for split in view.dataset.queries_split if split != TRAIN]
        touched = sum(
            1
            for split in scored
            for query_id in view.dataset.queries_split[split]
            if not shared.keys().isdisjoint(view.positives.get(query_id, ()))
        )
        total = sum(len(view.dataset.queries_split[split]) for split in scored)
        yield finding(
            "note",
            "documents-shared-by-splits",
            f"{counted(len(shared), 'document is', 'documents are')} relevant to training queries and to queries of "
            f"another split ({touched:,} of its {total:,} queries): the gain shown is for documents trained on",
            shared,
            (f"{document_id!r} {snippet(view.dataset.corpus[document_id])}" for document_id in shared),
            "to measure documents never trained on: embedtune split --by document",
        )


def _shared_near_documents(view: DatasetView) -> Iterator[Finding]:
    found = []
    for group in view.near_documents:
        trained = {d for d in group if TRAIN in view.splits_of_document.get(d, ())}
        scored = {d for d in group if view.splits_of_document.get(d, set()) - {TRAIN}}
        if any(one != other for one in trained for other in scored) and not (trained & scored):
            found.append([*sorted(trained), *sorted(scored)])
    if found:
        yield finding(
            "warning",
            "near-documents-shared-by-splits",
            f"{counted(len(found), 'group')} of documents that say almost the same: one is relevant to a training "
            "query, another to a query of another split",
            (document_id for group in found for document_id in group),
            (f"{', '.join(map(repr, g[:3]))} {snippet(view.dataset.corpus[g[0]])}" for g in found),
            "embedtune split --by document keeps them on one side",
        )


def _queries_in_no_split(view: DatasetView) -> Iterator[Finding]:
    if not view.dataset.queries_split:
        yield finding(
            "note",
            "no-splits",
            "the queries aren't divided into train, val and test",
            to_do="embedtune split does it, and keeps near-duplicates on one side",
        )
        return
    left = [query_id for query_id in view.dataset.queries if query_id not in view.splits_of]
    if left:
        yield finding(
            "warning",
            "queries-in-no-split",
            f"{counted(len(left), 'query is', 'queries are')} in no split: never trained on, never scored",
            left,
            (f"{query_id!r} {snippet(view.dataset.queries[query_id])}" for query_id in left),
            "add them to a split, or split again with embedtune split",
        )


def _crosses(splits: set[str]) -> bool:
    return TRAIN in splits and len(splits) > 1


def _where(view: DatasetView, group: list[str]) -> str:
    """Returns one query of each split with its text."""
    first = {split: query_id for query_id in reversed(group) for split in view.splits_of.get(query_id, ())}
    return ", ".join(
        f"{split} {query_id!r} {snippet(view.dataset.queries[query_id])}" for split, query_id in sorted(first.items())
    )
