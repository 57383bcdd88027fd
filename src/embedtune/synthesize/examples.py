"""Real queries as examples of style: a few that differ, by language, never from val or test."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from embedtune.data.dataset import ALL_QUERIES, RetrievalDataset
from embedtune.data.near_duplicates import NEAR_QUERY, near_duplicate_groups
from embedtune.data.shingles import shingle_hashes
from embedtune.errors import DataError, OptionsError
from embedtune.models.encoder import Vectors
from embedtune.synthesize.coverage import nearest_to_centres
from embedtune.synthesize.prompts import prompt_language

__all__ = ["Embed", "choose_examples"]

Embed = Callable[[list[str]], Vectors]

_HELD_OUT = frozenset({"val", "validation", "dev", "test", ALL_QUERIES})
_DIMENSIONS = 1024
_LONGEST = 300


def choose_examples(
    dataset: RetrievalDataset, split: str, count: int, seed: int, embed: Embed | None = None
) -> dict[str, list[str]]:
    """Returns up to `count` queries for each prompt language: one from the middle of each of `count` clusters.

    Clusters are of embeddings, or without an encoder of shingles. A query that is also in another
    split, or nearly, is never taken. Raises OptionsError for splits that are held out.
    """
    if split in _HELD_OUT:
        raise OptionsError(
            f"style examples aren't taken from the split {split!r}: what is held out must not shape training data",
            remedy="name a training split with --split",
        )
    texts = _free_of_held_out(dataset, split)
    if not texts:
        raise DataError(f"the split {split!r} has no query that isn't held out elsewhere", where="queries_split")
    chosen: dict[str, list[str]] = {}
    for language in ("en", "zh"):
        pool = [text for text in texts if prompt_language(text) == language]
        if len(pool) > count:
            rows = nearest_to_centres(embed(pool) if embed else _shingle_vectors(pool), count, seed)
            pool = [pool[row] for row in rows]
        chosen[language] = pool
    return chosen


def _free_of_held_out(dataset: RetrievalDataset, split: str) -> list[str]:
    """Returns the split's texts, each once, without those that another split has too, or nearly."""
    ids = dataset.split_query_ids(split)
    own = list(dict.fromkeys(dataset.queries[query_id] for query_id in ids))
    held = [
        dataset.queries[query_id]
        for name, others in dataset.queries_split.items()
        if name != split
        for query_id in others
    ]
    groups = near_duplicate_groups([*own, *held], NEAR_QUERY, "short")
    leaked = {row for group in groups if group[-1] >= len(own) for row in group}
    return [text for row, text in enumerate(own) if row not in leaked and len(text) <= _LONGEST]


def _shingle_vectors(texts: Sequence[str]) -> Vectors:
    """Returns (len(texts), 1024) float32: unit vectors of hashed shingles."""
    found = shingle_hashes(texts, "short")
    offsets = found.offsets.astype(np.int64)
    rows = np.repeat(np.arange(len(texts)), offsets[1:] - offsets[:-1])
    vectors = np.zeros((len(texts), _DIMENSIONS), dtype=np.float32)
    np.add.at(vectors, (rows, (found.hashes % np.uint64(_DIMENSIONS)).astype(np.int64)), 1.0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors
