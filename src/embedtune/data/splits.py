"""Divides queries into train, val and test, and says what the division implies."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.groups import connected_groups
from embedtune.data.near_duplicates import same_or_near, same_texts
from embedtune.data.shingles import TextLength
from embedtune.errors import DataError, OptionsError
from embedtune.options import Options

__all__ = ["SplitOptions", "SplitResult", "split_dataset", "split_queries"]

_LARGEST_GROUP = 10
_LARGEST_SHARE = 0.01
"""A larger group of near-duplicates is texts written to one template, and would end on one side as a block."""

SplitBy = Literal["document", "query", "within-document"]
Link = tuple[int, int]
Dealt = dict[str, list[str]]


class SplitOptions(Options):
    """How queries are divided."""

    by: SplitBy = Field(
        default="document",
        description="document: no document is relevant on two sides; query: documents may be shared; "
        "within-document: val and test ask about documents that train asks about too, as NUDGE needs it.",
    )
    val: float = Field(default=0.1, ge=0, lt=1, description="Share of the queries in val.")
    test: float = Field(default=0.2, ge=0, lt=1, description="Share of the queries in test.")
    seed: int = Field(default=42, description="Chooses the queries; the same seed gives the same splits.")


@dataclass(frozen=True)
class SplitResult:
    """The divided dataset, and how its queries hung together."""

    dataset: RetrievalDataset
    options: SplitOptions
    groups: int
    largest_group: int
    near_queries: int
    near_documents: int
    shared_documents: int

    def words(self) -> list[str]:
        """Returns what was done and what it implies, a sentence a line."""
        sizes = ", ".join(f"{split} {len(ids):,}" for split, ids in self.dataset.queries_split.items())
        kept = f"{self.near_queries:,} near-duplicate queries"
        if self.options.by == "document":
            kept += f" and {self.near_documents:,} near-duplicate documents"
        return [
            f"split by {self.options.by}, seed {self.options.seed}: {sizes}",
            _implied(self.options.by, self.shared_documents),
            f"{self.groups:,} groups were dealt out whole, the largest of {self.largest_group:,} queries; "
            f"{kept} stayed on one side",
        ]


def split_queries(
    dataset: RetrievalDataset, *, val_fraction: float, test_fraction: float, seed: int
) -> RetrievalDataset:
    """Returns the dataset with new splits train, val and test, divided by document; see split_dataset."""
    return split_dataset(dataset, SplitOptions(val=val_fraction, test=test_fraction, seed=seed)).dataset


def split_dataset(dataset: RetrievalDataset, options: SplitOptions) -> SplitResult:
    """Returns the dataset with new splits train, val and test in the place of its old ones.

    Queries that differ in a word or two stay together, and by document also those that share a
    relevant document, or have near-duplicate ones, directly or through other queries. Where more
    than ten, and more than 1 %, hang together as near-duplicates they follow a template, and only
    equal texts stay together. Groups are dealt out whole, so a split can be off by the size of a
    group. Raises OptionsError for shares
    that leave no train split, DataError where a wanted split stays empty.
    """
    if options.val + options.test >= 1:
        raise OptionsError(f"val {options.val} and test {options.test} must leave something for train")
    query_ids = list(dataset.queries)
    place = {query_id: row for row, query_id in enumerate(query_ids)}
    near_queries = _near_groups(dataset.queries, query_ids, "short")
    near_documents = _near_groups(dataset.corpus, _relevant(dataset), "long") if options.by == "document" else []
    links = [(place[group[0]], place[query_id]) for group in near_queries for query_id in group]
    if options.by == "document":
        links += _links_by_document(dataset, query_ids, near_documents)
    groups = [[query_ids[row] for row in group] for group in connected_groups(len(query_ids), links)]
    random.Random(options.seed).shuffle(groups)
    wanted = {"test": round(options.test * len(query_ids)), "val": round(options.val * len(query_ids))}
    deal = _deal_within_documents if options.by == "within-document" else _deal
    dealt = deal(groups, wanted, dataset)
    _refuse_empty(dealt, wanted, options.by)
    divided = replace(dataset, queries_split={name: sorted(ids, key=place.__getitem__) for name, ids in dealt.items()})
    return SplitResult(
        divided,
        options,
        groups=len(groups),
        largest_group=max(map(len, groups)),
        near_queries=sum(map(len, near_queries)),
        near_documents=sum(map(len, near_documents)),
        shared_documents=_shared_documents(divided),
    )


def _relevant(dataset: RetrievalDataset) -> list[str]:
    """Returns the documents relevant to any query in the corpus's order, in which a file is read fastest."""
    relevant = {document_id for _, document_id in dataset.known_positive_pairs()}
    return [document_id for document_id in dataset.corpus if document_id in relevant]


def _near_groups(texts: Mapping[str, str], ids: Sequence[str], length: TextLength) -> list[list[str]]:
    """Returns the groups to keep together; of a group that is too large for copies, only the equal texts."""
    largest = max(_LARGEST_GROUP, round(_LARGEST_SHARE * len(ids)))
    groups = same_or_near(texts, ids, length)
    templates = [group for group in groups if len(group) > largest]
    return [group for group in groups if len(group) <= largest] + [
        same for group in templates for same in same_texts(texts, group)
    ]


def _links_by_document(
    dataset: RetrievalDataset, query_ids: Sequence[str], near_documents: Sequence[Sequence[str]]
) -> list[Link]:
    """Links each query to the first one that has a relevant document, or a near-duplicate of it, in common."""
    one_of = {document_id: group[0] for group in near_documents for document_id in group}
    first_query_of: dict[str, int] = {}
    return [
        (first_query_of.setdefault(one_of.get(document_id, document_id), row), row)
        for row, query_id in enumerate(query_ids)
        for document_id in dataset.positives(query_id)
    ]


def _deal(groups: Sequence[list[str]], wanted: Mapping[str, int], dataset: RetrievalDataset) -> Dealt:
    """Deals the groups out in their order: to test until it is full, then to val, then to train."""
    dealt: Dealt = {"train": [], "val": [], "test": []}
    for group in groups:
        open_splits = [name for name, size in wanted.items() if len(dealt[name]) < size]
        dealt[open_splits[0] if open_splits else "train"].extend(group)
    return dealt


def _deal_within_documents(groups: Sequence[list[str]], wanted: Mapping[str, int], dataset: RetrievalDataset) -> Dealt:
    """Gives train a group for every document first; only groups whose documents train has can be held out."""
    covered: set[str] = set()
    first: list[str] = []
    spare: list[list[str]] = []
    for group in groups:
        documents = {document_id for query_id in group for document_id in dataset.positives(query_id)}
        if documents and documents <= covered:
            spare.append(group)
        else:
            covered |= documents
            first += group
    queries = sum(map(len, spare))
    share = min(1.0, queries / max(1, sum(wanted.values())))
    dealt = _deal(spare, {name: round(size * share) for name, size in wanted.items()}, dataset)
    return dealt | {"train": first + dealt["train"]}


def _shared_documents(dataset: RetrievalDataset) -> int:
    """Returns how many documents are relevant to queries of train and of another split."""
    sides = {
        split: {document_id for query_id in ids for document_id in dataset.positives(query_id)}
        for split, ids in dataset.queries_split.items()
    }
    return len(sides["train"] & (sides["val"] | sides["test"]))


def _implied(by: SplitBy, shared: int) -> str:
    if by == "document":
        return "no document is relevant on two sides: the exam is about documents that training never saw"
    count = "1 document is" if shared == 1 else f"{shared:,} documents are"
    if by == "query":
        return f"{count} relevant in train and in val or test: the exam is about new queries on a known corpus"
    return (
        f"{count} relevant in train and in val or test, and every held-out query's are: NUDGE can be validated, "
        "and nothing is learnt about documents without training queries"
    )


def _refuse_empty(dealt: Mapping[str, Sequence[str]], wanted: Mapping[str, int], by: SplitBy) -> None:
    reasons = {
        "document": "queries that share documents stay together",
        "query": "queries that differ in a word or two stay together",
        "within-document": "only documents with several queries can have one held out",
    }
    for name in ("train", *(name for name, size in wanted.items() if size)):
        if not dealt[name]:
            raise DataError(
                f"too few queries to fill the split {name!r}",
                where="queries",
                remedy=f"give more queries or smaller fractions; {reasons[by]}",
            )
