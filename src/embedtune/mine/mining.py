"""Mines the hard negatives of a split: candidates, exclusions, rules, a teacher, and what fills up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np

from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import EvaluationError
from embedtune.mine.candidates import CandidateFinder, Places, Pool, Scores
from embedtune.mine.exclusions import Exclusions, NearDuplicates
from embedtune.mine.options import MineOptions
from embedtune.mine.report import RULES, MinedNegative, MiningReport, Rule, Source, draw_samples
from embedtune.mine.rules import Mask, bounds, choose, generator_of
from embedtune.mine.teacher import Teacher
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder
from embedtune.search.engine import Engine
from embedtune.search.store_index import StoreIndex

__all__ = ["mine_negatives"]

_DEEPER = 4
_FILL_UP_DEPTH = 100
_DRAWN_PER_WANTED = 4
_READ_PER_WANTED = 2


def mine_negatives(
    dataset: RetrievalDataset,
    encoder: Encoder,
    *,
    split: str = "train",
    cache: EmbeddingCache | None = None,
    options: MineOptions | None = None,
    teacher: Teacher | None = None,
    engine: Engine | None = None,
    stored: StoreIndex | None = None,
) -> MiningReport:
    """Returns for each query of the split documents that look relevant to it and aren't.

    Never a negative: a document relevant to the query in any split, one with the same text as
    such a document or nearly the same, one relevant to a query of the same text or nearly the
    same, one without text. A query without a relevant document gets none. Prompts are the
    encoder's own, as in evaluation; vectors are the cache's, whose key holds the weights. With
    a teacher also out is what it finds as relevant as the query's lowest-scored positive. `engine`
    says where documents are encoded and searched. With `stored`, opened without strangers, a vector
    store finds the dense candidates, and no document is encoded.
    """
    options = options or MineOptions()
    options.check()
    query_ids = [query_id for query_id in dataset.split_query_ids(split) if dataset.positives(query_id)]
    finder = CandidateFinder(dataset, query_ids, encoder, cache or EmbeddingCache(None), engine, stored)
    return _Mining(dataset, split, finder, options, teacher).run()


class _Mining:
    """What one run keeps track of; rows are queries, places documents."""

    def __init__(
        self,
        dataset: RetrievalDataset,
        split: str,
        finder: CandidateFinder,
        options: MineOptions,
        teacher: Teacher | None,
    ) -> None:
        self.dataset = dataset
        self.finder = finder
        self.options = options
        self.teacher = teacher
        self.query_ids = finder.query_ids
        self.exclusions = Exclusions.of(dataset, self.query_ids, split, finder.place)
        self.near = NearDuplicates(dataset, finder)
        places = [[finder.place[d] for d in dataset.positives(query_id)] for query_id in self.query_ids]
        self.positive_counts = np.array([len(found) for found in places], dtype=np.int64)
        self.first_positive = np.cumsum(self.positive_counts) - self.positive_counts
        self.positives = np.array([place for found in places for place in found], dtype=np.int64)
        self.weakest, self.lowest = self._lowest_positives()
        self.bounds = bounds(self.lowest, options)
        self.seen: list[Places] = []
        self.mined: list[list[MinedNegative]] = [[] for _ in self.query_ids]
        self.dropped: dict[Rule, int] = dict.fromkeys(RULES, 0)
        self.teacher_scores: dict[int, dict[int, float]] = {}
        self.relabelled: dict[int, list[int]] = {}
        self.asked: set[int] = set()
        self.unread = 0

    def run(self) -> MiningReport:
        rows = list(range(len(self.query_ids)))
        if rows:
            pool = self.finder.find(rows, self.options.last_rank, self.options.candidates)
            self._take(rows, pool, self.options.candidates, first=True)
            for source, short, pool in self._fill_ups() if self.options.fill_up else ():
                self._take(short, pool, source, first=False)
        return self._report()

    def _lowest_positives(self) -> tuple[Places, Scores]:
        """Returns each query's lowest-scored positive and its score."""
        rows = np.repeat(np.arange(len(self.query_ids)), self.positive_counts)
        scores = self.finder.pair_scores(rows, self.positives)
        order = np.lexsort((scores, rows))[self.first_positive]
        return self.positives[order], scores[order]

    def _positives_of(self, row: int) -> list[int]:
        first = self.first_positive[row]
        found: list[int] = self.positives[first : first + self.positive_counts[row]].tolist()
        return found

    def _short(self) -> list[int]:
        return [row for row, mined in enumerate(self.mined) if len(mined) < self.options.wanted]

    def _fill_ups(self) -> Iterator[tuple[Source, list[int], Pool]]:
        """Yields (source, rows, pool) for the queries that have too few, a stage at a time."""
        corpus_size = len(self.finder.document_ids)
        for factor in (_DEEPER, _DEEPER**2):
            short = self._short()
            if short and self.options.last_rank * factor // _DEEPER < corpus_size:
                depth = min(self.options.last_rank * factor, corpus_size)
                yield "deeper", short, self.finder.find(short, depth, self.options.candidates)
        short = self._short()
        if short and self.options.candidates == "dense":
            pool = None
            with suppress(EvaluationError):  # no document holds a term
                pool = self.finder.find(short, _FILL_UP_DEPTH, "bm25")
            if pool is not None:
                yield "bm25 fill-up", short, pool
        short = self._short()
        if short:
            yield "random", short, self.finder.drawn(short, self._drawn(short))

    def _drawn(self, rows: Sequence[int]) -> Places:
        """Returns random places, shape (rows, some), none twice in a row of the array."""
        corpus_size = len(self.finder.document_ids)
        count = min(self.options.wanted * _DRAWN_PER_WANTED, corpus_size)
        generators = [generator_of(self.query_ids[row], self.options.seed) for row in rows]
        return np.stack([generator.choice(corpus_size, count, replace=False) for generator in generators])

    def _take(self, rows: Sequence[int], pool: Pool, source: Source, *, first: bool) -> None:
        """Adds what is fit of a pool to the negatives of its rows."""
        start = self.options.from_ if first or source == "deeper" else 0
        pool = pool.beyond(start)
        codes = self.exclusions.codes(rows, pool.places)
        allowed = pool.places >= 0
        if self.seen:
            allowed &= ~np.isin(codes, np.concatenate(self.seen))
        self.seen.append(codes[allowed])
        allowed = self._drop("known positive", allowed, self.exclusions.among(codes, self.exclusions.known))
        allowed = self._drop("leaked positive", allowed, self.exclusions.among(codes, self.exclusions.leaked))
        if self.exclusions.empty.size:
            allowed = self._drop("empty text", allowed, np.isin(pool.places, self.exclusions.empty))
        in_bounds = self.bounds.allow(rows, pool.scores)
        if self.teacher is not None:
            readable = allowed if first and self.options.relabel else self._some(allowed & in_bounds, rows)
            if not (first and self.options.relabel):
                allowed = self._drop("score", allowed, ~in_bounds)
                allowed &= readable
            allowed = self._drop("teacher", allowed, self._as_relevant(rows, pool.places, readable))
        allowed = self._drop("score", allowed, ~in_bounds)
        self._choose(rows, pool, allowed, source, start)

    def _drop(self, rule: Rule, allowed: Mask, bad: Mask) -> Mask:
        """Returns what is left; counts what the rule dropped, once a candidate."""
        self.dropped[rule] += int((allowed & bad).sum())
        return allowed & ~bad

    def _some(self, allowed: Mask, rows: Sequence[int]) -> Mask:
        """Returns as many of the first allowed ones as a teacher should read: twice what is still wanted."""
        if self.options.sample is not None:
            return allowed
        missing = np.array([self.options.wanted - len(self.mined[row]) for row in rows])
        some: Mask = allowed & (np.cumsum(allowed, axis=1) <= _READ_PER_WANTED * missing[:, None])
        return some

    def _choose(self, rows: Sequence[int], pool: Pool, allowed: Mask, source: Source, start: int) -> None:
        """Takes negatives until none of them is a near-duplicate of a positive."""
        missing = [self.options.wanted - len(self.mined[row]) for row in rows]
        names = [self.query_ids[row] for row in rows]
        checked = np.zeros_like(allowed)
        while True:
            at, columns = choose(allowed, missing, names, self.options)
            fresh = ~checked[at, columns]
            bad = self._near_duplicates(np.asarray(rows)[at[fresh]], pool.places[at[fresh], columns[fresh]])
            checked[at[fresh], columns[fresh]] = True
            if not bad.any():
                break
            self.dropped["near-duplicate"] += int(bad.sum())
            allowed[at[fresh][bad], columns[fresh][bad]] = False
        places, scores = pool.places[at, columns].tolist(), pool.scores[at, columns].tolist()
        ranks = (columns + start + 1).tolist() if source != "random" else [0] * len(places)
        for row, place, rank, score in zip(at.tolist(), places, ranks, scores, strict=True):
            self.mined[rows[row]].append(MinedNegative(self.finder.document_ids[place], rank, score, source))

    def _near_duplicates(self, rows: Places, places: Places) -> Mask:
        """Returns for each (query, document) whether it is nearly the text of one of the query's positives."""
        counts = self.positive_counts[rows]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        positives = self.positives[np.repeat(self.first_positive[rows], counts) + within]
        near = self.near.among(np.repeat(places, counts), positives)
        found: Mask = np.bincount(np.repeat(np.arange(len(rows)), counts)[near], minlength=len(rows)) > 0
        return found

    def _as_relevant(self, rows: Sequence[int], places: Places, readable: Mask) -> Mask:
        """Returns which of the readable candidates the teacher finds as relevant as a positive."""
        if self.teacher is None:
            return np.zeros_like(readable)
        new = [row for row in rows if row not in self.asked]
        self.asked |= set(new)
        pairs = [(row, place) for row in new for place in self._positives_of(row)]
        at, columns = np.nonzero(readable)
        pairs += [(rows[i], int(places[i, j])) for i, j in zip(at.tolist(), columns.tolist(), strict=True)]
        texts = [
            (self.dataset.queries[self.query_ids[row]], self.dataset.corpus[self.finder.document_ids[place]])
            for row, place in pairs
        ]
        scores = self.teacher.score(texts)
        self.unread += int(np.isnan(scores).sum())
        for (row, place), score in zip(pairs, scores.tolist(), strict=True):
            if not np.isnan(score):
                self.teacher_scores.setdefault(row, {})[place] = score
        relevant = np.zeros_like(readable)
        for i, j in zip(at.tolist(), columns.tolist(), strict=True):
            relevant[i, j] = self._is_relevant(rows[i], int(places[i, j]))
        return relevant

    def _is_relevant(self, row: int, place: int) -> bool:
        """Returns whether the teacher says so; what it finds as good as the best positive is relabelled."""
        read = self.teacher_scores.get(row, {})
        positives = [read[p] for p in self._positives_of(row) if p in read]
        score = read.get(place)
        if score is None or not positives or self.teacher is None or score < self.teacher.least:
            return False
        if self.options.relabel and score >= max(positives):
            self.relabelled.setdefault(row, []).append(place)
        return score >= min(positives)

    def _report(self) -> MiningReport:
        name, document_id = self.query_ids, self.finder.document_ids
        mined = {name[row]: found for row, found in enumerate(self.mined)}
        lowest = {
            name[row]: (document_id[place], score)
            for row, (place, score) in enumerate(zip(self.weakest.tolist(), self.lowest.tolist(), strict=True))
        }
        return MiningReport(
            mined,
            self.dropped,
            {query_id: score for query_id, (_, score) in lowest.items()},
            {name[row]: {document_id[p]: s for p, s in read.items()} for row, read in self.teacher_scores.items()},
            {name[row]: [document_id[place] for place in places] for row, places in self.relabelled.items()},
            self.exclusions.leaks,
            self.unread,
            draw_samples(mined, self.dataset.queries, self.dataset.corpus, lowest, self.options.seed),
        )
