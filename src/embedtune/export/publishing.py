"""Documents, texts and vectors → a collection in a vector store, searched there before anybody relies on it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np

from embedtune import progress
from embedtune.data.dataset import RetrievalDataset
from embedtune.export.search_check import SearchCheck, check_search
from embedtune.export.vector_options import PublishOptions
from embedtune.models.cache import EmbeddingCache
from embedtune.models.document_key import DocumentKeys
from embedtune.models.encoder import Encoder, Vectors
from embedtune.search.stamp import Stamp
from embedtune.search.stores import STORES
from embedtune.search.vector_store import DocumentBatch, StoreOptions, VectorStore, check_characters

__all__ = ["PublishReport", "publish"]

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class PublishReport:
    """What was written where, how long that took, and whether the store finds what exact search finds.

    `missing` counts documents that are in the collection and not in the dataset; they stay there
    unless `deleted`.
    """

    store: str
    place: str
    index: str
    documents: int
    dim: int
    added: int
    replaced: int
    unchanged: int
    deleted: int
    missing: int
    seconds: Mapping[str, float]
    check: SearchCheck | None

    @property
    def passed(self) -> bool:
        """Returns whether the check passed or there was none."""
        return self.check is None or self.check.passed

    def to_json(self) -> dict[str, Any]:
        """Returns the report as JSON values."""
        return asdict(self) | {"check": None if self.check is None else self.check.to_json()}


def publish(
    encoder: Encoder,
    dataset: RetrievalDataset,
    to: str,
    store_options: StoreOptions | None = None,
    options: PublishOptions | None = None,
    *,
    cache: EmbeddingCache | None = None,
) -> PublishReport:
    """Brings a collection to the state of the dataset's corpus and returns what that took.

    A document whose id, text, vector and encoder are there already isn't written again, so a publish that
    was killed goes on, and one that is repeated writes nothing. `to` names one of search/stores.
    A dataset without documents isn't searched.
    Raises StorageError where the store can't be reached, is of other dimensions, or is read-only.
    """
    options = options or PublishOptions()
    module = STORES.load(to)
    cache = cache or EmbeddingCache(None)
    check_characters(dataset.corpus)
    checked = options.check and bool(dataset.corpus)
    queries = [dataset.queries[query_id] for query_id in dataset.split_query_ids(options.split)] if checked else []
    store: VectorStore = module.open_store(store_options or module.OPTIONS(), encoder.dim)
    try:
        timed = _Stopwatch()
        vectors = cache.encode_corpus(encoder, dataset.corpus)
        query_vectors = cache.encode(encoder, queries, "query")
        timed.done("encode")
        plan = _plan(store, dataset.corpus, vectors, DocumentKeys(encoder, dataset.corpus))
        _write(store, dataset.corpus, vectors, plan, options)
        store.finish()
        timed.done("write")
        check = None
        if checked:
            check = check_search(
                store, dataset, vectors, query_vectors, split=options.split, least_recall=options.min_recall
            )
            timed.done("check")
        return PublishReport(
            store=to,
            place=store.place,
            index=store.index,
            documents=len(dataset.corpus),
            dim=encoder.dim,
            added=len(plan.new),
            replaced=len(plan.changed),
            unchanged=len(dataset.corpus) - len(plan.new) - len(plan.changed),
            deleted=len(plan.missing) if options.delete_missing else 0,
            missing=0 if options.delete_missing else len(plan.missing),
            seconds=timed.seconds,
            check=check,
        )
    finally:
        store.close()


@dataclass(frozen=True)
class _Plan:
    """Rows of the corpus to write, the stamps of all, and the ids that aren't in it."""

    content_hashes: Sequence[str]
    new: Sequence[int]
    changed: Sequence[int]
    missing: Sequence[str]


def _plan(store: VectorStore, corpus: Mapping[str, str], vectors: Vectors, keys: DocumentKeys) -> _Plan:
    exact = np.ascontiguousarray(vectors, dtype="<f4")
    wanted = [
        str(Stamp.of(document_id, text, exact[row].tobytes(), keys[document_id]))
        for row, (document_id, text) in enumerate(corpus.items())
    ]
    there = dict(store.content_hashes())
    new = [row for row, document_id in enumerate(corpus) if document_id not in there]
    changed = [row for row, document_id in enumerate(corpus) if there.get(document_id, wanted[row]) != wanted[row]]
    missing = [document_id for document_id in there if document_id not in corpus]
    return _Plan(wanted, new, changed, missing)


def _write(
    store: VectorStore, corpus: Mapping[str, str], vectors: Vectors, plan: _Plan, options: PublishOptions
) -> None:
    ids = list(corpus)
    with progress.task("publish documents", total=len(plan.new) + len(plan.changed)) as publishing:
        for replacing, rows in ((False, plan.new), (True, plan.changed)):
            for part in _batches(rows, options.batch_size):
                names = [ids[row] for row in part]
                batch = DocumentBatch(
                    names,
                    [corpus[name] for name in names],
                    [plan.content_hashes[row] for row in part],
                    vectors[part],
                )
                store.write(batch, replacing=replacing)
                publishing.advance(len(part))
    if options.delete_missing:
        for gone in _batches(plan.missing, options.batch_size):
            store.delete(gone)


def _batches(items: Sequence[_Item], size: int) -> Iterator[list[_Item]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


class _Stopwatch:
    """Seconds of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def done(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[step] = round(now - self._last, 3)
        self._last = now
