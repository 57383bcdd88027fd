"""Makes a cleaned copy of a dataset and says what it changed; the dataset itself stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from embedtune.data.checks.view import TRAIN, DatasetView
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.encoding import find_misreading
from embedtune.data.faults import Fault, find_faults
from embedtune.data.usable import without_faults

__all__ = ["Change", "Cleaned", "clean_dataset"]

Judged = list[str] | dict[str, float]

_TABLES_BY_QUERY = ("queries", "relevant_docs", "negative_docs", "reference_answers")


@dataclass(frozen=True)
class Change:
    """One thing that the copy has otherwise: the check's code, what was done, and to what."""

    code: str
    what: str
    ids: tuple[str, ...]


class Cleaned(NamedTuple):
    """The cleaned copy, and every change in the order they were made."""

    dataset: RetrievalDataset
    changes: list[Change]


def clean_dataset(dataset: RetrievalDataset, reading_faults: Sequence[Fault] = ()) -> Cleaned:
    """Returns a copy without what can be mended safely: every error, and the warnings about copies.

    Near-duplicate queries and documents stay, because only a person can tell versions of one text
    from two texts. `reading_faults` are listed among the changes.
    """
    faults = [*reading_faults, *find_faults(dataset.to_fields())]
    changes = [Change(fault.code, f"left out: {fault.message}", (fault.id,)) for fault in faults]
    cleaned = without_faults(dataset.to_fields()) if faults else dataset
    for step in (_repair_texts, _list_once, _join_documents, _join_queries, _drop_false_negatives):
        cleaned, made = step(cleaned)
        changes += made
    return Cleaned(cleaned, changes)


def _repair_texts(dataset: RetrievalDataset) -> Cleaned:
    changes: list[Change] = []
    repaired: dict[str, dict[str, str]] = {"queries": {}, "corpus": {}}
    for name, texts in (("queries", dataset.queries), ("corpus", dataset.corpus)):
        for text_id, text in texts.items():
            misreading = None if text.isascii() else find_misreading(text)
            if misreading is not None and misreading.repaired is not None:
                repaired[name][text_id] = misreading.repaired
                changes.append(Change("wrong-encoding", f"{name}: {misreading.what}, read rightly", (text_id,)))
    if not changes:
        return Cleaned(dataset, [])
    queries, corpus = {**dataset.queries, **repaired["queries"]}, {**dataset.corpus, **repaired["corpus"]}
    return Cleaned(replace(dataset, queries=queries, corpus=corpus), changes)


def _join_documents(dataset: RetrievalDataset) -> Cleaned:
    """Keeps the first of the documents with one text; judgements of the others become its own."""
    groups = DatasetView(dataset).same_documents
    if not groups:
        return Cleaned(dataset, [])
    kept = {document_id: group[0] for group in groups for document_id in group}
    changes = [
        Change("repeated-documents", f"kept {group[0]!r}, left out its copies", tuple(group)) for group in groups
    ]
    joined = replace(
        dataset,
        corpus={i: text for i, text in dataset.corpus.items() if kept.get(i, i) == i},
        relevant_docs={q: _renamed(documents, kept) for q, documents in dataset.relevant_docs.items()},
        negative_docs={q: _unique(kept.get(d, d) for d in documents) for q, documents in dataset.negative_docs.items()},
    )
    return Cleaned(joined, changes)


def _renamed(judged: Judged, kept: Mapping[str, str]) -> Judged:
    if isinstance(judged, list):
        return _unique(kept.get(document_id, document_id) for document_id in judged)
    return _highest((kept.get(document_id, document_id), grade) for document_id, grade in judged.items())


def _join_queries(dataset: RetrievalDataset) -> Cleaned:
    """Makes one query of those with one text: the one in test, else in another scored split, else in train."""
    view = DatasetView(dataset)
    if not view.same_queries:
        return Cleaned(dataset, [])
    changes: list[Change] = []
    tables = {name: dict(getattr(dataset, name)) for name in _TABLES_BY_QUERY}
    for group in view.same_queries:
        kept = min(group, key=lambda query_id: min(map(_rank, view.splits_of.get(query_id, [""]))))
        code = "leaked-queries" if len(view.splits_among(group)) > 1 else "repeated-queries"
        changes.append(Change(code, f"kept {kept!r} with the judgements of all, left out the others", tuple(group)))
        _join_into(kept, list(dict.fromkeys((kept, *group))), tables)
    splits = {name: [q for q in ids if q in tables["queries"]] for name, ids in dataset.queries_split.items()}
    return Cleaned(replace(dataset, **tables, queries_split=splits), changes)


def _join_into(kept: str, group: Sequence[str], tables: Mapping[str, dict[str, Any]]) -> None:
    """Gives one query what the others of its group have, and takes the others out of the tables."""
    found = [documents for query_id in group if (documents := tables["relevant_docs"].get(query_id))]
    avoided = _unique(d for query_id in group for d in tables["negative_docs"].get(query_id, ()))
    answers = [text for query_id in group if (text := tables["reference_answers"].get(query_id))]
    for query_id in group[1:]:
        for table in tables.values():
            table.pop(query_id, None)
    if found:
        tables["relevant_docs"][kept] = _joined(found)
    if avoided:
        tables["negative_docs"][kept] = avoided
    if answers:
        tables["reference_answers"][kept] = answers[0]


def _joined(judgements: list[Judged]) -> Judged:
    if all(isinstance(documents, list) for documents in judgements):
        return _unique(document_id for documents in judgements for document_id in documents)
    graded = (documents if isinstance(documents, dict) else dict.fromkeys(documents, 1) for documents in judgements)
    return _highest(item for documents in graded for item in documents.items())


def _list_once(dataset: RetrievalDataset) -> Cleaned:
    """Lists every query in one split, the scored one, and every id in a list once."""
    changes: list[Change] = []
    splits_of = DatasetView(dataset).splits_of
    home = {query_id: min(splits, key=_rank) for query_id, splits in splits_of.items()}
    for query_id, splits in splits_of.items():
        if len(splits) > 1:
            changes.append(Change("query-in-two-splits", f"kept in {home[query_id]!r} only", (query_id,)))
    relevant, negatives = dict(dataset.relevant_docs), dict(dataset.negative_docs)
    tables: tuple[dict[str, Any], ...] = (relevant, negatives)
    for table in tables:
        for query_id, documents in table.items():
            if isinstance(documents, list) and len(set(documents)) < len(documents):
                table[query_id] = _unique(documents)
                changes.append(Change("repeated-entries", "an id that was listed twice is listed once", (query_id,)))
    if not changes:
        return Cleaned(dataset, [])
    once = {name: _unique(q for q in ids if home[q] == name) for name, ids in dataset.queries_split.items()}
    return Cleaned(replace(dataset, relevant_docs=relevant, negative_docs=negatives, queries_split=once), changes)


def _drop_false_negatives(dataset: RetrievalDataset) -> Cleaned:
    """Drops negatives that are relevant to their query, or say almost the same as what is."""
    if not any(dataset.negative_docs.values()):
        return Cleaned(dataset, [])
    view = DatasetView(dataset)
    copies = {document_id: group for group in view.near_documents for document_id in group}
    changes: list[Change] = []
    negatives: dict[str, list[str]] = {}
    for query_id, documents in dataset.negative_docs.items():
        positives = view.positives.get(query_id, [])
        near = {copy for document_id in positives for copy in copies.get(document_id, ())}
        bad = [document_id for document_id in documents if document_id in near or document_id in positives]
        negatives[query_id] = [document_id for document_id in documents if document_id not in bad]
        for document_id in bad:
            code = "negative-is-positive" if document_id in positives else "negative-copies-positive"
            changes.append(Change(code, f"{document_id!r} is no longer a negative of {query_id!r}", (query_id,)))
    return Cleaned(replace(dataset, negative_docs=negatives), changes) if changes else Cleaned(dataset, [])


def _rank(split: str) -> int:
    """Orders splits by what a query is worth most for: test, other scored splits, train, none."""
    return {"test": 0, TRAIN: 2, "": 3}.get(split, 1)


def _highest(grades: Iterable[tuple[str, float]]) -> dict[str, float]:
    highest: dict[str, float] = {}
    for document_id, grade in grades:
        highest[document_id] = max(grade, highest.get(document_id, grade))
    return highest


def _unique(ids: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(ids))
