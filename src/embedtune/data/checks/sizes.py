"""Whether there is enough of everything, and of the right length and language."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from embedtune.data.checks.finding import Finding, Level, counted, finding, snippet
from embedtune.data.checks.view import TRAIN, DatasetView
from embedtune.data.languages import language_of

__all__ = ["check_sizes"]

_POINTS = 0.02
_DEVIATIONS = (0.15, 0.20, 0.25)
"""Standard deviation of a query's difference between two models: friendly, usual, and the one to plan for."""
_POWER_FACTOR = 2.8
"""1.96 + 0.84: a paired test at p < 0.05 that sees the difference in 80 % of cases."""
_LONG_QUERY_SHARE = 0.25
_SAME_DOCUMENT_SHARE = 0.05
_SAMPLED_TEXTS = 2000
_MIX_DISTANCE = 0.3
_SHOWN_SHARE = 0.01


def check_sizes(view: DatasetView) -> Iterator[Finding]:
    """Yields too few test queries, missing negatives, odd lengths and the languages of the splits."""
    yield from _few_test_queries(view)
    yield from _no_negatives(view)
    yield from _one_query_a_document(view)
    yield from _long_queries(view)
    yield from _languages(view)


def queries_needed(deviation: float) -> int:
    """Returns how many queries show a difference of 2 points with 80 % power, paired, at p < 0.05."""
    return round((_POWER_FACTOR * deviation / _POINTS) ** 2)


def _few_test_queries(view: DatasetView) -> Iterator[Finding]:
    splits = view.dataset.queries_split
    split = next((name for name in ("test", "val", "dev", "validation") if splits.get(name)), None)
    if split is None:
        return
    count = sum(1 for query_id in set(splits[split]) if query_id in view.positives)
    needed = [queries_needed(deviation) for deviation in _DEVIATIONS]
    if count >= needed[-1]:
        return
    level: Level = "warning" if count < needed[0] else "note"
    seen = 100 * _POWER_FACTOR * _DEVIATIONS[-1] / math.sqrt(max(count, 1))
    yield finding(
        level,
        "few-test-queries",
        f"{counted(count, 'scored query', 'scored queries')} in {split}: a difference of 2 points needs {needed[-1]:,} "
        f"(80 % power, paired, p < 0.05, per-query standard deviation 0.25; {needed[1]:,} at 0.20, {needed[0]:,} at "
        f"0.15); {count:,} show {min(seen, 100):.1f} points or more",
        to_do="move queries into it, or trust no smaller difference",
    )


def _no_negatives(view: DatasetView) -> Iterator[Finding]:
    trained = view.dataset.queries_split.get(TRAIN, ())
    if trained and not any(view.dataset.negative_docs.get(query_id) for query_id in trained):
        yield finding(
            "note",
            "no-negatives",
            f"none of the {counted(len(trained), 'training query', 'training queries')} has a negative document",
            to_do="mine them before training; without, only the other queries' documents are told apart",
        )


def _one_query_a_document(view: DatasetView) -> Iterator[Finding]:
    queries_of = Counter(document_id for documents in view.positives.values() for document_id in documents)
    several = sum(1 for count in queries_of.values() if count > 1)
    if queries_of and several <= _SAME_DOCUMENT_SHARE * len(queries_of):
        yield finding(
            "note",
            "one-query-a-document",
            f"{several:,} of {len(queries_of):,} relevant documents have more than one query: NUDGE, which moves "
            "documents by their training queries, can't be validated",
            to_do="use another method, or collect several queries a document and split --by within-document",
        )


def _long_queries(view: DatasetView) -> Iterator[Finding]:
    queries, corpus = view.dataset.queries, view.dataset.corpus
    ids = [
        query_id
        for query_id, documents in view.positives.items()
        if len(queries[query_id]) > max(len(corpus[document_id]) for document_id in documents)
    ]
    if len(ids) > _LONG_QUERY_SHARE * len(view.positives):
        yield finding(
            "warning",
            "queries-longer-than-documents",
            f"{len(ids):,} of {len(view.positives):,} queries are longer than every document relevant to them",
            ids,
            (f"{query_id!r} {snippet(queries[query_id])}" for query_id in ids),
            "see whether queries and documents are swapped",
        )


def _languages(view: DatasetView) -> Iterator[Finding]:
    dataset = view.dataset
    documents = _mix([dataset.corpus[document_id] for document_id in _sampled(list(dataset.corpus))])
    parts = {"documents": documents}
    for split, query_ids in (dataset.queries_split or {"queries": list(dataset.queries)}).items():
        if query_ids:
            parts[split] = _mix([dataset.queries[query_id] for query_id in _sampled(query_ids)])
    mixes = "; ".join(f"{name} {_in_words(mix)}" for name, mix in parts.items())
    yield finding("note", "languages", mixes)
    others = [name for name in parts if name not in ("documents", TRAIN)]
    apart = [name for name in others if TRAIN in parts and _distance(parts[TRAIN], parts[name]) > _MIX_DISTANCE]
    if apart:
        yield finding(
            "warning",
            "languages-differ",
            f"the queries of {' and '.join(apart)} are in other languages than those of train: {mixes}",
            to_do="split again so that every split has the same mix",
        )


def _sampled(ids: Sequence[str]) -> Sequence[str]:
    """Returns at most about 2,000 of the ids, evenly spaced."""
    return ids[:: max(1, len(ids) // _SAMPLED_TEXTS)]


def _mix(texts: list[str]) -> dict[str, float]:
    counts = Counter(language_of(text) for text in texts)
    return {language: count / len(texts) for language, count in counts.most_common()}


def _distance(one: dict[str, float], other: dict[str, float]) -> float:
    """Returns the share of texts that would have to change language for the mixes to be equal."""
    return sum(abs(one.get(language, 0) - other.get(language, 0)) for language in {*one, *other}) / 2


def _in_words(mix: dict[str, float]) -> str:
    shown = [f"{share:.0%} {language}" for language, share in mix.items() if share >= _SHOWN_SHARE]
    return ", ".join(shown) or "nothing"
