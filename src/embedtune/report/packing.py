"""The explorer's queries and documents as compressed text that a page can hold.

Every document is there once, cut to its beginning, and where a page would become too large, more
is left out: first of the documents' texts, then of the ranked lists, last the queries that moved least.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from embedtune import progress
from embedtune.evaluate.causes import CAUSES
from embedtune.report.content import ExploredQuery, Explorer

__all__ = ["pack"]

_BEST_RATIO = 0.15
"""Text hardly compresses to less than this share of itself; what can't fit isn't tried."""


class _Level(NamedTuple):
    """How many characters a document keeps, and how many documents a ranked list."""

    characters: int
    documents: int


_LEVELS = tuple(
    _Level(*level) for level in ((600, 10), (400, 10), (300, 10), (300, 5), (200, 5), (120, 5), (120, 3), (60, 3))
)


def pack(explorer: Explorer, max_bytes: int) -> str:
    """Returns the queries as base64 of gzip of JSON, as much of them as fits into `max_bytes`."""
    total = len(explorer.queries)
    for level in _LEVELS:
        packed = _packed_within(explorer, level, max_bytes, total)
        if packed is not None:
            return packed
    kept = explorer
    while len(kept.queries) > 1:
        kept = replace(kept, queries=_moved_most(kept.queries, len(kept.queries) // 2))
        packed = _packed_within(kept, _LEVELS[-1], max_bytes, total)
        if packed is not None:
            progress.say(f"the page has room for {len(kept.queries):,} of {total:,} queries")
            return packed
    return _encoded(_content(replace(explorer, queries=()), _LEVELS[-1], total))


def _packed_within(explorer: Explorer, level: _Level, max_bytes: int, total: int) -> str | None:
    text = _content(explorer, level, total)
    if len(text) * _BEST_RATIO > max_bytes:
        return None
    packed = _encoded(text)
    return packed if len(packed) <= max_bytes else None


def _encoded(text: bytes) -> str:
    return base64.b64encode(gzip.compress(text, mtime=0)).decode("ascii")


def _moved_most(queries: Sequence[ExploredQuery], count: int) -> list[ExploredQuery]:
    """Returns the queries whose scores differ most between systems, in their order."""
    spread = [max(query.scores) - min(query.scores) for query in queries]
    kept = set(sorted(range(len(queries)), key=lambda place: -spread[place])[:count])
    return [query for place, query in enumerate(queries) if place in kept]


def _content(explorer: Explorer, level: _Level, total: int) -> bytes:
    rows: dict[str, int] = {}
    queries = [_query(query, level, rows) for query in explorer.queries]
    texts = [" ".join(explorer.corpus.get(document_id, "").split()) for document_id in rows]
    content: dict[str, Any] = {
        "measure": explorer.measure,
        "systems": list(explorer.systems),
        "shown": [list(explorer.systems).index(name) for name in explorer.shown],
        "causes": list(CAUSES),
        "all": total,
        "characters": level.characters,
        "documents": level.documents,
        "ids": list(rows),
        "texts": [_cut(text, level.characters) for text in texts],
        "queries": queries,
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _query(query: ExploredQuery, level: _Level, rows: dict[str, int]) -> list[Any]:
    """Returns [id, text, relevant documents, scores, ranked lists, causes], documents as rows of one table."""

    def row(document_id: str) -> int:
        return rows.setdefault(document_id, len(rows))

    return [
        query.query_id,
        _cut(query.text, 2 * level.characters),
        [row(document_id) for document_id in list(query.relevant)[: level.documents]],
        [round(score, 4) for score in query.scores],
        [[row(document_id) for document_id in ranking[: level.documents]] for ranking in query.rankings],
        [[CAUSES.index(cause) for cause in causes] for causes in query.causes],
    ]


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"
