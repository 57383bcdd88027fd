"""Judgements that contradict each other, are missing, or are there twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from embedtune.data.checks.finding import Finding, counted, finding, snippet
from embedtune.data.checks.view import DatasetView

__all__ = ["check_judgements"]


def check_judgements(view: DatasetView) -> Iterator[Finding]:
    """Yields contradictions between judgements, queries without any, and repeated entries."""
    yield from _negatives_that_are_positive(view)
    yield from _same_query_judged_differently(view)
    yield from _unjudged_queries(view)
    yield from _repeated_entries(view)


def _negatives_that_are_positive(view: DatasetView) -> Iterator[Finding]:
    bad = {}
    for query_id, negatives in view.dataset.negative_docs.items():
        both = set(negatives).intersection(view.positives.get(query_id, ()))
        if both:
            bad[query_id] = f"{query_id!r}: {min(both)!r} is relevant and a negative"
    if bad:
        yield finding(
            "error",
            "negative-is-positive",
            f"{counted(len(bad), 'query names', 'queries name')} a relevant document as a negative",
            bad,
            bad.values(),
            "decide which it is; --fix keeps it relevant",
        )


def _same_query_judged_differently(view: DatasetView) -> Iterator[Finding]:
    conflicting, divided = {}, {}
    for group in view.same_queries:
        relevant = {query_id: set(view.positives.get(query_id, ())) for query_id in group}
        union = set().union(*relevant.values())
        own = set().union(*(_own_conflicts(view, query_id) for query_id in group))
        against = (union & _against(view, group)) - own
        text = snippet(view.dataset.queries[group[0]])
        if against:
            example = f"{', '.join(map(repr, group[:3]))} {text}: {min(against)!r} is relevant to one, not to another"
            conflicting.update(dict.fromkeys(group, example))
        elif any(documents != union for documents in relevant.values()):
            example = f"{', '.join(map(repr, group[:3]))} {text}: each has other relevant documents"
            divided.update(dict.fromkeys(group, example))
    if conflicting:
        yield finding(
            "error",
            "conflicting-judgements",
            f"{len(conflicting):,} queries with the same text as another contradict it: a document is relevant to "
            "one and judged not relevant, or a negative, for the other",
            conflicting,
            dict.fromkeys(conflicting.values()),
            "decide which it is; --fix keeps it relevant",
        )
    if divided:
        yield finding(
            "warning",
            "divided-judgements",
            f"{len(divided):,} queries with the same text as another have different relevant documents: "
            "what is right for one counts as a mistake for the other",
            divided,
            dict.fromkeys(divided.values()),
            "join their judgements; --fix does",
        )


def _against(view: DatasetView, group: list[str]) -> set[str]:
    """Returns the documents that any query of the group was judged not relevant to, or has as a negative."""
    against: set[str] = set()
    for query_id in group:
        against.update(view.dataset.negative_docs.get(query_id, ()))
        against.update(document_id for document_id, grade in view.dataset.grades(query_id).items() if grade <= 0)
    return against


def _own_conflicts(view: DatasetView, query_id: str) -> set[str]:
    """Returns what is relevant to a query and a negative of that same query: reported as such already."""
    return set(view.dataset.negative_docs.get(query_id, ())).intersection(view.positives.get(query_id, ()))


def _unjudged_queries(view: DatasetView) -> Iterator[Finding]:
    unjudged = [query_id for query_id in view.dataset.queries if query_id not in view.positives]
    if unjudged:
        yield finding(
            "warning",
            "queries-without-documents",
            f"{counted(len(unjudged), 'query has', 'queries have')} no relevant document: "
            "nothing is trained on them and they aren't scored",
            unjudged,
            (f"{query_id!r} {snippet(view.dataset.queries[query_id])}" for query_id in unjudged),
            "judge them or leave them out",
        )


def _repeated_entries(view: DatasetView) -> Iterator[Finding]:
    places = {}
    for name, lists in (("relevant_docs", view.dataset.relevant_docs), ("negative_docs", view.dataset.negative_docs)):
        for query_id, documents in lists.items():
            if len(set(documents)) < len(documents):
                places[query_id] = f"{name}[{query_id!r}] names a document twice"
    for split, query_ids in view.dataset.queries_split.items():
        if len(set(query_ids)) < len(query_ids):
            twice = (query_id for query_id, count in Counter(query_ids).items() if count > 1)
            places.update({query_id: f"queries_split[{split!r}] lists {query_id!r} twice" for query_id in twice})
    if places:
        yield finding(
            "warning",
            "repeated-entries",
            f"{counted(len(places), 'list names', 'lists name')} an id twice: it would count twice",
            places,
            places.values(),
            "remove the second entry; --fix does",
        )
