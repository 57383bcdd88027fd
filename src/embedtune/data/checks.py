"""Looks for what would spoil a result, before anything is spent on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.near_duplicates import normalise_text

__all__ = ["Finding", "check_dataset"]

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (error), makes results worse (warning) or is worth knowing (note)."""

    level: Level
    code: str
    message: str
    ids: tuple[str, ...] = ()


def check_dataset(dataset: RetrievalDataset) -> list[Finding]:
    """Returns what was found, errors first. Faults of format are found on reading."""
    findings = [
        *_repeated_documents(dataset),
        *_repeated_queries(dataset),
        *_queries_in_two_splits(dataset),
        *_documents_in_two_splits(dataset),
        *_negatives_that_are_positive(dataset),
        *_unjudged_queries(dataset),
    ]
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(findings, key=lambda finding: order[finding.level])


def _repeated_documents(dataset: RetrievalDataset) -> Iterator[Finding]:
    same = _same_text(dataset.corpus)
    if same:
        ids = tuple(document_id for group in same for document_id in group)
        yield Finding(
            "warning",
            "repeated-documents",
            f"{len(ids)} documents share their text with another; where one is relevant "
            "and its copy isn't, the copy counts as a mistake",
            ids,
        )


def _repeated_queries(dataset: RetrievalDataset) -> Iterator[Finding]:
    same = _same_text(dataset.queries)
    split_of = _split_of_query(dataset)
    leaking = [group for group in same if len({split_of.get(query_id) for query_id in group}) > 1]
    if leaking:
        ids = tuple(query_id for group in leaking for query_id in group)
        yield Finding("error", "leaked-queries", f"{len(leaking)} query texts are in more than one split", ids)
    if len(same) > len(leaking):
        ids = tuple(query_id for group in same if group not in leaking for query_id in group)
        yield Finding("warning", "repeated-queries", f"{len(ids)} queries share their text with another", ids)


def _queries_in_two_splits(dataset: RetrievalDataset) -> Iterator[Finding]:
    places: dict[str, list[str]] = defaultdict(list)
    for split, query_ids in dataset.queries_split.items():
        for query_id in query_ids:
            places[query_id].append(split)
    twice = tuple(query_id for query_id, splits in places.items() if len(splits) > 1)
    if twice:
        yield Finding("error", "query-in-two-splits", f"{len(twice)} queries are listed in splits twice", twice)


def _documents_in_two_splits(dataset: RetrievalDataset) -> Iterator[Finding]:
    split_of = _split_of_query(dataset)
    seen: dict[str, set[str]] = defaultdict(set)
    for query_id, document_id in dataset.known_positive_pairs():
        if query_id in split_of:
            seen[document_id].add(split_of[query_id])
    shared = tuple(document_id for document_id, splits in seen.items() if "train" in splits and len(splits) > 1)
    if shared:
        yield Finding(
            "note",
            "documents-shared-by-splits",
            f"{len(shared)} documents are relevant to training queries and to queries of another split; "
            "the gain shown is for documents that can be trained on",
            shared,
        )


def _negatives_that_are_positive(dataset: RetrievalDataset) -> Iterator[Finding]:
    bad = tuple(
        query_id
        for query_id, negatives in dataset.negative_docs.items()
        if not set(negatives).isdisjoint(dataset.positives(query_id))
    )
    if bad:
        yield Finding(
            "error", "negative-is-positive", f"{len(bad)} queries name a relevant document as a negative", bad
        )


def _unjudged_queries(dataset: RetrievalDataset) -> Iterator[Finding]:
    unjudged = tuple(query_id for query_id in dataset.queries if not dataset.positives(query_id))
    if unjudged:
        yield Finding(
            "warning",
            "queries-without-documents",
            f"{len(unjudged)} queries have no relevant document; they train nothing and aren't scored",
            unjudged,
        )


def _same_text(texts: Mapping[str, str]) -> list[list[str]]:
    by_text: dict[str, list[str]] = defaultdict(list)
    for text_id, text in texts.items():
        by_text[normalise_text(text)].append(text_id)
    return [ids for ids in by_text.values() if len(ids) > 1]


def _split_of_query(dataset: RetrievalDataset) -> dict[str, str]:
    return {query_id: split for split, ids in dataset.queries_split.items() for query_id in ids}
