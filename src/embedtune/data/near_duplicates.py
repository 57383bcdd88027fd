"""Finds texts that say almost the same."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from rensa import RMinHash, RMinHashLSH

from embedtune.data.groups import connected_groups

__all__ = ["near_duplicate_groups", "normalise_text", "shingles"]

_PERMUTATIONS = 128
_SEED = 42
_WORDS_PER_SHINGLE = 3
_CHARACTERS_PER_SHINGLE = 5


def normalise_text(text: str) -> str:
    """Returns the text with width, case and runs of white space made equal (Unicode NFKC)."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def shingles(text: str) -> set[str]:
    """Returns a text's runs of three words; of five characters where words aren't spaced."""
    normalised = normalise_text(text)
    words = normalised.split(" ")
    if len(words) * 12 > len(normalised):
        size = _WORDS_PER_SHINGLE
        return {" ".join(words[i : i + size]) for i in range(max(1, len(words) - size + 1))}
    size = _CHARACTERS_PER_SHINGLE
    return {normalised[i : i + size] for i in range(max(1, len(normalised) - size + 1))}


def near_duplicate_groups(texts: Sequence[str], threshold: float = 0.8) -> list[list[int]]:
    """Returns groups of positions whose texts are near-duplicates, each sorted, first seen first.

    Two texts are near-duplicates if the Jaccard similarity of their shingles is at least
    `threshold`. MinHash with banding proposes pairs, the exact similarity decides, and pairs
    that share a text are joined. Positions without a near-duplicate are in no group.
    """
    sets = [shingles(text) for text in texts]
    index = RMinHashLSH(threshold=threshold * 0.85, num_perm=_PERMUTATIONS, num_bands=32)
    links: list[tuple[int, int]] = []
    for position, own in enumerate(sets):
        sketch = RMinHash(num_perm=_PERMUTATIONS, seed=_SEED)
        sketch.update(sorted(own))
        links += [(other, position) for other in index.query(sketch) if _jaccard(own, sets[other]) >= threshold]
        index.insert(position, sketch)
    return [group for group in connected_groups(len(texts), links) if len(group) > 1]


def _jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)
