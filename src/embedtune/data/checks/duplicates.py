"""Documents and queries that are there more than once, and the judgements that suffer from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from embedtune.data.checks.finding import Finding, counted, finding, snippet
from embedtune.data.checks.view import DatasetView

__all__ = ["check_duplicates"]


def check_duplicates(view: DatasetView) -> Iterator[Finding]:
    """Yields repeated and nearly repeated documents and queries, and copies without a judgement."""
    yield from _repeated_documents(view)
    yield from _near_documents(view)
    yield from _unjudged_copies(view)
    yield from _repeated_queries(view)
    yield from _near_queries(view)


def _repeated_documents(view: DatasetView) -> Iterator[Finding]:
    groups = view.same_documents
    if groups:
        ids = [document_id for group in groups for document_id in group]
        yield finding(
            "warning",
            "repeated-documents",
            f"{len(ids):,} documents share their text with another ({counted(len(groups), 'different text')}); "
            "where one is relevant and its copy isn't, the copy counts as a mistake",
            ids,
            (_pair(view.dataset.corpus, group) for group in groups),
            "keep one of each; --fix does, and joins their judgements",
        )


def _near_documents(view: DatasetView) -> Iterator[Finding]:
    groups = [group for group in view.near_documents if not view.same_text(view.dataset.corpus, group)]
    if groups:
        ids = [document_id for group in groups for document_id in group]
        yield finding(
            "warning",
            "near-duplicate-documents",
            f"{len(ids):,} documents say almost the same as another ({counted(len(groups), 'group')})",
            ids,
            (_pair(view.dataset.corpus, group) for group in groups),
            "keep one of each where they are versions of one text; embedtune split keeps them on one side",
        )


def _unjudged_copies(view: DatasetView) -> Iterator[Finding]:
    """A copy of a relevant document that nobody judged counts as a mistake when it is found."""
    copies = {document_id: group for group in view.near_documents for document_id in group}
    unjudged, against = {}, {}
    for query_id, positives in view.positives.items():
        grades, negatives = view.dataset.grades(query_id), set(view.dataset.negative_docs.get(query_id, ()))
        for document_id in positives:
            for copy in copies.get(document_id, ()):
                example = f"{query_id!r}: {document_id!r} is relevant, its copy {copy!r}"
                if copy in negatives and copy not in positives:
                    against[query_id] = f"{example} is a negative"
                elif copy not in grades:
                    unjudged[query_id] = f"{example} isn't judged"
    if unjudged:
        yield finding(
            "warning",
            "unjudged-copies",
            f"{counted(len(unjudged), 'query has', 'queries have')} a relevant document with a copy or near-copy in "
            "the corpus that isn't judged: found, it counts as a mistake; mined, it becomes a false negative",
            unjudged,
            unjudged.values(),
            "judge the copies too or remove them; --fix joins those with the same text",
        )
    if against:
        yield finding(
            "warning",
            "negative-copies-positive",
            f"{counted(len(against), 'query has', 'queries have')} a negative that says almost the same as "
            "a relevant document",
            against,
            against.values(),
            "remove these negatives; --fix does",
        )


def _repeated_queries(view: DatasetView) -> Iterator[Finding]:
    groups = [group for group in view.same_queries if len(view.splits_among(group)) < 2]
    if groups:
        ids = [query_id for group in groups for query_id in group]
        yield finding(
            "warning",
            "repeated-queries",
            f"{len(ids):,} queries share their text with another ({counted(len(groups), 'different text')})",
            ids,
            (_pair(view.dataset.queries, group) for group in groups),
            "make one query of each; --fix does, and joins their judgements",
        )


def _near_queries(view: DatasetView) -> Iterator[Finding]:
    groups = [
        group
        for group in view.near_queries
        if len(view.splits_among(group)) < 2 and not view.same_text(view.dataset.queries, group)
    ]
    if groups:
        ids = [query_id for group in groups for query_id in group]
        yield finding(
            "note",
            "near-duplicate-queries",
            f"{len(ids):,} queries differ from another in a word or two ({counted(len(groups), 'group')})",
            ids,
            (_pair(view.dataset.queries, group) for group in groups),
            "see whether they ask for the same; if so their relevant documents should agree",
        )


def _pair(texts: Mapping[str, str], group: list[str]) -> str:
    one, other = (f"{text_id!r} {snippet(texts[text_id])}" for text_id in group[:2])
    return f"{one} and {other}"
