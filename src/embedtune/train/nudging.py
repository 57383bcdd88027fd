"""NUDGE: how far each document's vector moves towards the training queries that it answers.

Zeighami, Wellmer and Parameswaran 2024 (https://arxiv.org/abs/2409.02343). A document without
training queries has nothing to move to, so everything is computed over those that have some;
the others only matter by the best of them for each val query. Results equal those of the
authors' package nudge-ft 0.1.2 to float32 rounding; a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import normalize

from embedtune import progress
from embedtune.models.encoder import Vectors

__all__ = ["GAMMAS", "Judged", "Moves", "nudge_m", "nudge_n"]

GAMMAS = tuple(0.02 * step for step in range(25))
"""The values that NUDGE-N tries, as in the authors' package; 0 leaves everything where it is."""

_ROWS_PER_PRODUCT = 8192
_ENTRIES_PER_PRODUCT = 32_000_000
_ENTRIES_PER_STEP = 262_144
"""So many float32 numbers stay in a core's cache through several passes."""
_EPSILON = 1e-8
_NEVER = 1e8

Rows = npt.NDArray[np.int64]
ScoreTop = Callable[[Rows, Vectors], float]
"""Best documents' rows and scores, both (val queries, top_k), best first → how good that is."""


@dataclass(frozen=True)
class Judged:
    """Query vectors, shape (queries, dim), and which documents answer them, as pairs of rows."""

    vectors: Vectors
    query_rows: Rows
    document_rows: Rows

    @classmethod
    def of(cls, vectors: Vectors, pairs: Sequence[tuple[int, int]]) -> Judged:
        """Returns the queries with their (query row, document row) pairs."""
        rows = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return cls(vectors, rows[:, 0], rows[:, 1])


class Moves(NamedTuple):
    """The gamma chosen, the documents that moved (their rows, ascending), and where to."""

    gamma: float
    rows: Rows
    vectors: Vectors


class _Sides(NamedTuple):
    """The documents that can move with the sum of their training queries, and the rows of those that can't."""

    rows: Tensor
    vectors: Tensor
    pulls: Tensor
    still_rows: Tensor


class _Top(NamedTuple):
    """Best documents for each val query, best first: scores and rows, both (queries, top_k)."""

    scores: Tensor
    rows: Tensor


def nudge_n(
    documents: Vectors, train: Judged, val: Judged, *, top_k: int = 1, score_top: ScoreTop | None = None
) -> Moves:
    """Returns the moves of NUDGE-N, which keeps vectors at unit length (equation 7 of the paper).

    The first of GAMMAS with the highest val score wins, so equal scores keep the smaller move.
    The score is the share of val queries whose best document answers them, or `score_top` of
    their `top_k` best.
    """
    sides = _take_sides(documents, train)
    score_top = score_top or _share_answered(val, len(documents))
    still = _best_still(documents, sides, val, top_k)
    towards = [_towards(sides, gamma) for gamma in GAMMAS]
    top = [_Top(torch.empty_like(still.scores), torch.empty_like(still.rows)) for _ in GAMMAS]
    for start, similar, pulled in _products(sides, sides.pulls, val):
        here = slice(start, start + len(similar))
        for (stay, pull), found in zip(towards, top, strict=True):
            moved = _best(torch.mul(similar, stay).addcmul_(pulled, pull), sides.rows, top_k)
            found.scores[here], found.rows[here] = _better(moved, _Top(still.scores[here], still.rows[here]))
    values = [score_top(found.rows.numpy(), found.scores.numpy()) for found in top]
    chosen = int(np.argmax(values))
    stay, pull = towards[chosen]
    vectors = sides.vectors * stay[:, None] + sides.pulls * pull[:, None]
    return Moves(GAMMAS[chosen], sides.rows.numpy(), vectors.numpy())


def nudge_m(documents: Vectors, train: Judged, val: Judged) -> Moves:
    """Returns the moves of NUDGE-M, by the same distance for every document that can move (equation 5).

    For each val query and document that answers it there is an interval of gamma in which the
    document ranks first; gamma is the first point that lies in the most of them. The vectors are
    no longer of unit length: only an inner product ranks them rightly.
    """
    sides = _take_sides(documents, train)
    updates = normalize(-sides.pulls)
    low, high = _intervals(documents, sides, updates, val)
    gamma = _most_covered(low, high)
    return Moves(float(gamma), sides.rows.numpy(), (sides.vectors - float(gamma) * updates).numpy())


def _take_sides(documents: Vectors, train: Judged) -> _Sides:
    moved, place = np.unique(train.document_rows, return_inverse=True)
    queries = torch.from_numpy(train.vectors)[torch.from_numpy(train.query_rows)]
    pulls = torch.zeros(len(moved), documents.shape[1]).index_add_(0, torch.from_numpy(place), queries)
    still = np.ones(len(documents), dtype=np.bool_)
    still[moved] = False
    rows = torch.from_numpy(moved.astype(np.int64))
    return _Sides(rows, normalize(torch.from_numpy(documents)[rows]), pulls, torch.from_numpy(np.flatnonzero(still)))


def _towards(sides: _Sides, gamma: float) -> tuple[Tensor, Tensor]:
    """Returns the shares (documents,) of the old vector and of the pull in the new one, of unit length.

    The new vector is the one most similar to the pull of those whose squared distance from the
    old one is at most gamma. A pull that points away moves nothing.
    """
    along = (sides.pulls * sides.vectors).sum(dim=1)
    squared = (sides.pulls * sides.pulls).sum(dim=1)
    across = (squared - along**2).clamp(min=0)
    inside = along / squared.sqrt() >= 1 - gamma / 2
    root = torch.sqrt(gamma / (4 - gamma) * across)
    pull = torch.where(across > 0, gamma / (2 * root), 0)
    stay = 1 - pull * (along + root)
    unmoved = (gamma == 0) | ((across == 0) | (along < 0))
    pull, stay = pull.masked_fill(unmoved, 0), stay.masked_fill(unmoved, 1)
    if gamma:
        pull, stay = torch.where(inside, squared.rsqrt(), pull), stay.masked_fill(inside, 0)
    return stay, pull


def _products(sides: _Sides, directions: Tensor, val: Judged) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yields blocks of val queries: the first row, and their products with the vectors and the directions."""
    queries = torch.from_numpy(val.vectors)
    movable = max(1, len(sides.rows))
    with progress.task("try how far documents move", total=len(queries)) as trying:
        for start in range(0, len(queries), max(1, _ENTRIES_PER_PRODUCT // movable)):
            block = queries[start : start + max(1, _ENTRIES_PER_PRODUCT // movable)]
            similar, along = block @ sides.vectors.T, block @ directions.T
            size = max(1, _ENTRIES_PER_STEP // movable)
            for row in range(0, len(block), size):
                yield start + row, similar[row : row + size], along[row : row + size]
                trying.advance(min(size, len(block) - row))


def _best_still(documents: Vectors, sides: _Sides, val: Judged, top_k: int) -> _Top:
    """Returns the best of the documents that can't move, for each val query."""
    queries = torch.from_numpy(val.vectors)
    found = _Top(torch.full((len(queries), top_k), -torch.inf), torch.full((len(queries), top_k), -1))
    for rows in _blocks(sides.still_rows):
        vectors = normalize(torch.from_numpy(documents)[rows])
        for start in range(0, len(queries), _ROWS_PER_PRODUCT):
            here = slice(start, start + _ROWS_PER_PRODUCT)
            best = _best(queries[here] @ vectors.T, rows, top_k)
            found.scores[here], found.rows[here] = _better(_Top(found.scores[here], found.rows[here]), best)
    return found


def _blocks(rows: Tensor) -> Sequence[Tensor]:
    """Returns the rows in parts of a bounded size, no part of none."""
    return torch.split(rows, _ROWS_PER_PRODUCT) if len(rows) else ()


def _best(scores: Tensor, rows: Tensor, top_k: int) -> _Top:
    """Returns the `top_k` best of each row of scores, fewer where there are fewer; `rows` names the columns."""
    if top_k == 1 and len(rows):
        values, places = scores.max(dim=1, keepdim=True)
    else:
        values, places = torch.topk(scores, min(top_k, len(rows)), dim=1)
    return _Top(values, rows[places])


def _better(a: _Top, b: _Top) -> _Top:
    """Returns the best of two lists, as long as the longer one; a's of equals."""
    values, places = torch.topk(torch.cat([a.scores, b.scores], dim=1), max(a.scores.shape[1], b.scores.shape[1]))
    return _Top(values, torch.cat([a.rows, b.rows], dim=1).gather(1, places))


def _share_answered(val: Judged, document_count: int) -> ScoreTop:
    """Returns the score that the authors' package chooses by: the share of val queries answered by their best."""
    known = np.unique(val.query_rows * document_count + val.document_rows)
    firsts = np.arange(len(val.vectors)) * document_count
    return lambda rows, scores: float(np.isin(firsts + rows[:, 0], known).mean())


def _intervals(documents: Vectors, sides: _Sides, updates: Tensor, val: Judged) -> tuple[Tensor, Tensor]:
    """Returns where the interval of gamma begins and ends for each val pair that has one."""
    order = np.argsort(val.query_rows, kind="stable")
    query_rows, document_rows = val.query_rows[order], torch.from_numpy(val.document_rows[order])
    place = torch.full((len(documents),), -1)
    place[sides.rows] = torch.arange(len(sides.rows))
    still_best, still_own = _still_scores(documents, sides, val, query_rows, document_rows)
    found = []
    for start, similar, along in _products(sides, updates, val):
        first, last = np.searchsorted(query_rows, [start, start + len(similar)])
        for begin in range(first, last, len(similar)):
            pairs = slice(begin, min(begin + len(similar), last))
            rows = torch.from_numpy(query_rows[pairs] - start)
            own = place[document_rows[pairs]]
            moves = own >= 0
            score = torch.where(moves, similar[rows, own], still_own[pairs])
            update = torch.where(moves, along[rows, own], 0)
            rivals = _limits(similar[rows] - score[:, None], along[rows] - update[:, None])
            still = _limits((still_best[query_rows[pairs]] - score)[:, None], -update[:, None])
            low, high = torch.maximum(rivals[0], still[0]), torch.minimum(rivals[1], still[1])
            found.append(torch.stack([low, high])[:, low <= high])
    low, high = torch.cat(found, dim=1)
    return low, high


def _limits(ahead: Tensor, gains: Tensor) -> tuple[Tensor, Tensor]:
    """Returns (low, high), each (pairs,): between them no rival is ahead; low is over high where that can't be.

    `ahead` (pairs, rivals) is by how much a rival leads at gamma 0, `gains` how much of it it
    loses for each unit of gamma.
    """
    ratios = ahead / (gains + _EPSILON)
    low = torch.where(gains > 0, ratios, 0).amax(dim=1)
    high = torch.where(gains < 0, ratios, _NEVER).amin(dim=1)
    hopeless = ((gains == 0) & (ahead > 0)).any(dim=1)
    return low.masked_fill(hopeless, torch.inf), high


def _still_scores(
    documents: Vectors, sides: _Sides, val: Judged, query_rows: Rows, document_rows: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the best score of a document that can't move (queries,), and each pair's own where it can't (pairs,).

    Both are read from the same products, so that a pair's own document equals the best exactly
    where it is the best.
    """
    queries = torch.from_numpy(val.vectors)
    best = torch.full((len(queries),), -torch.inf)
    own = torch.full((len(document_rows),), -torch.inf)
    for rows in _blocks(sides.still_rows):
        vectors = normalize(torch.from_numpy(documents)[rows])
        column = torch.searchsorted(rows, document_rows).clamp(max=len(rows) - 1)
        inside = rows[column] == document_rows
        for start in range(0, len(queries), _ROWS_PER_PRODUCT):
            scores = queries[start : start + _ROWS_PER_PRODUCT] @ vectors.T
            here = slice(start, start + len(scores))
            best[here] = torch.maximum(best[here], scores.amax(dim=1))
            first, last = np.searchsorted(query_rows, [start, start + len(scores)])
            mine = torch.arange(first, last)[inside[first:last]]
            own[mine] = scores[torch.from_numpy(query_rows)[mine] - start, column[mine]]
    return best, own


def _most_covered(low: Tensor, high: Tensor) -> np.float32:
    """Returns the first gamma that lies in the most intervals; 0 where there is none."""
    points = torch.cat([low, high]).numpy()
    if not len(points):
        return np.float32(0)
    signs = np.repeat([1, -1], [len(low), len(high)])
    values, place = np.unique(points, return_inverse=True)
    covered = np.cumsum(np.bincount(place, weights=signs, minlength=len(values)))
    best = int(np.argmax(covered))
    return np.float32(values[best] if covered[best] > 0 else 0)
