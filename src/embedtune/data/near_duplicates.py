"""Finds texts that say almost the same, among a hundred thousand as among ten."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

from embedtune import progress
from embedtune.data.groups import connected_groups
from embedtune.data.shingles import TextLength, mixed, normalise_text, shingle_hashes, shingles

__all__ = [
    "NEAR_DOCUMENT",
    "NEAR_QUERY",
    "TextsById",
    "near_duplicate_groups",
    "normalise_text",
    "same_or_near",
    "same_texts",
    "shingles",
]

NEAR_DOCUMENT = 0.8
NEAR_QUERY = 0.75
"""Share of a text's pieces that two documents or queries have in common to count as near-duplicates."""


_PERMUTATIONS = 128
_BANDS = 32
_SEED = 42
_BATCH_CHARACTERS = 1_000_000
_FULLY_PAIRED_RUN = 30
_PAIRS_AT_ONCE = 100_000
_SKETCH_SLACK = 0.2
"""A sketch of 128 values misses the true similarity by more than this once in a million pairs."""

Positions = npt.NDArray[np.int64]
Sketches = npt.NDArray[np.uint32]


class TextsById(Sequence[str]):
    """The texts of some ids in their order, fetched when asked for, so that a corpus may stay on disk."""

    def __init__(self, texts: Mapping[str, str], ids: Sequence[str]) -> None:
        self._texts = texts
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, position: int) -> str:  # type: ignore[override]  # slices aren't needed
        return self._texts[self._ids[position]]


def near_duplicate_groups(texts: Sequence[str], threshold: float = 0.8, length: TextLength = "long") -> list[list[int]]:
    """Returns groups of positions whose texts are near-duplicates, each sorted, first seen first.

    Two texts are near-duplicates if the Jaccard similarity of their shingles is at least
    `threshold`. MinHash with banding proposes pairs, the exact similarity decides, and pairs
    that share a text are joined. Positions without a near-duplicate are in no group. Texts are
    read in batches, so a sequence that fetches them from disk stays there.
    """
    if len(texts) < 2:
        return []
    found = []
    with progress.task("look for near-duplicates", total=len(texts)) as looking:
        for _, part in _batches(texts, np.arange(len(texts))):
            found.append(_sketches(part, length))
            looking.advance(len(part))
    sketches = np.concatenate(found)
    pairs = _likely_pairs(sketches, _candidate_pairs(sketches), threshold)
    links = _similar_pairs(texts, pairs, threshold, length)
    return [group for group in connected_groups(len(texts), links) if len(group) > 1]


def same_or_near(texts: Mapping[str, str], ids: Sequence[str], length: TextLength) -> list[list[str]]:
    """Returns groups of the ids whose texts say almost the same; see near_duplicate_groups."""
    threshold = NEAR_DOCUMENT if length == "long" else NEAR_QUERY
    groups = near_duplicate_groups(TextsById(texts, ids), threshold, length)
    return [[ids[position] for position in group] for group in groups]


def same_texts(texts: Mapping[str, str], ids: Iterable[str]) -> list[list[str]]:
    """Returns groups of the ids whose texts are the same but for width, case and white space."""
    by_text: dict[str, list[str]] = defaultdict(list)
    for text_id in ids:
        by_text[normalise_text(texts[text_id])].append(text_id)
    return [group for group in by_text.values() if len(group) > 1]


def _batches(texts: Sequence[str], positions: Positions) -> Iterator[tuple[list[int], list[str]]]:
    """Yields positions and their texts in batches of about a million characters; each text is fetched once."""
    batch: list[int] = []
    fetched: list[str] = []
    characters = 0
    for position in positions.tolist():
        batch.append(position)
        fetched.append(texts[position])
        characters += len(fetched[-1])
        if characters >= _BATCH_CHARACTERS:
            yield batch, fetched
            batch, fetched, characters = [], [], 0
    if batch:
        yield batch, fetched


def _sketches(texts: list[str], length: TextLength) -> Sketches:
    """Returns the MinHash sketches of a batch, shape (len(texts), permutations)."""
    found = shingle_hashes(texts, length)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(found.hashes, found.offsets, _PERMUTATIONS, _SEED)
    return np.array(matrix.to_rows(), dtype=np.uint32)


def _candidate_pairs(sketches: Sketches) -> Positions:
    """Returns pairs (earlier, later) of positions that agree on all values of a band; shape (pairs, 2)."""
    count = len(sketches)
    found = [pairs for band in np.split(sketches, _BANDS, axis=1) for pairs in _pairs_of_band(band)]
    if not found:
        return np.empty((0, 2), dtype=np.int64)
    codes = np.unique(np.concatenate([pairs[:, 0] * count + pairs[:, 1] for pairs in found]))
    return np.stack((codes // count, codes % count), axis=1)


def _pairs_of_band(band: Sketches) -> Iterator[Positions]:
    keys = np.zeros(len(band), dtype=np.uint64)
    for column in band.T:
        keys = mixed(keys ^ column.astype(np.uint64))
    order = np.argsort(keys, kind="stable")
    borders = np.flatnonzero(np.diff(keys[order])) + 1
    starts = np.concatenate(([0], borders))
    ends = np.concatenate((borders, [len(keys)]))
    repeated = ends - starts > 1
    for start, end in zip(starts[repeated].tolist(), ends[repeated].tolist(), strict=True):
        yield _pairs_of_run(order[start:end])


def _pairs_of_run(run: Positions) -> Positions:
    """Returns all pairs of a short run; of a long one each with the first and with its neighbour."""
    if len(run) <= _FULLY_PAIRED_RUN:
        one, other = np.triu_indices(len(run), k=1)
        return np.stack((run[one], run[other]), axis=1)
    first = np.stack((np.full(len(run) - 1, run[0]), run[1:]), axis=1)
    return np.concatenate((first, np.stack((run[:-1], run[1:]), axis=1)))


def _likely_pairs(sketches: Sketches, pairs: Positions, threshold: float) -> Positions:
    """Returns the pairs whose sketches agree nearly often enough; only those are compared exactly."""
    parts = np.array_split(pairs, 1 + len(pairs) // _PAIRS_AT_ONCE)
    agreement = [(sketches[part[:, 0]] == sketches[part[:, 1]]).mean(axis=1) for part in parts]
    return pairs[np.concatenate(agreement) >= threshold - _SKETCH_SLACK]


def _similar_pairs(
    texts: Sequence[str], pairs: Positions, threshold: float, length: TextLength
) -> list[tuple[int, int]]:
    """Returns the pairs whose shingles are similar enough, counted exactly."""
    sets: dict[int, npt.NDArray[np.uint64]] = {}
    for batch, part in _batches(texts, np.unique(pairs)):
        found = shingle_hashes(part, length)
        ends = found.offsets.astype(np.int64)
        for row, position in enumerate(batch):
            sets[position] = np.unique(found.hashes[ends[row] : ends[row + 1]])
    return [(i, j) for i, j in pairs.tolist() if _jaccard(sets[i], sets[j]) >= threshold]


def _jaccard(one: npt.NDArray[np.uint64], other: npt.NDArray[np.uint64]) -> float:
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)
