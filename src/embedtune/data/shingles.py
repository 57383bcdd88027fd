"""Cuts texts into overlapping pieces; texts that share most pieces say almost the same.

`shingles` says what the pieces are; `shingle_hashes` gives their hashes for many texts at
once, in numpy.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["ShingleHashes", "TextLength", "mixed", "normalise_text", "shingle_hashes", "shingles"]

TextLength = Literal["long", "short"]
"""Documents are long; queries are short, where a word or a mark more changes much."""

Hashes = npt.NDArray[np.uint64]

_WORDS = 3
_CHARACTERS = 5
_CHARACTERS_OF_SHORT_SPACED = 4
_CHARACTERS_OF_SHORT_UNSPACED = 2
_MARKS = re.compile(r"[\W_]+")
_COMMON_WIDE = [(mark, unicodedata.normalize("NFKC", mark)) for mark in "，：；！？（）％～…\u3000"]
_SEPARATOR = "\n"
_BASE = 0x9E3779B97F4A7C15
_BASE_INVERSE = pow(_BASE, -1, 1 << 64)


class ShingleHashes(NamedTuple):
    """64-bit hashes of all texts' shingles in one row, and where each text's begin: offsets[i] … offsets[i + 1]."""

    hashes: Hashes
    offsets: Hashes


def normalise_text(text: str) -> str:
    """Returns the text with width, case and runs of white space made equal (Unicode NFKC)."""
    if not text.isascii():
        for wide, narrow in _COMMON_WIDE:  # spares most Chinese texts the slow way
            text = text.replace(wide, narrow)
        if not unicodedata.is_normalized("NFKC", text):
            text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def shingles(text: str, length: TextLength = "long") -> set[str]:
    """Returns a text's overlapping pieces.

    A long text's are runs of three words, or of five characters where words aren't spaced. A
    short text's are runs of four characters, or two, with punctuation left out.
    """
    cleaned = _cleaned(text, length)
    size, by_words = _piece(cleaned, length)
    units = cleaned.split(" ") if by_words else list(cleaned)
    joint = " " if by_words else ""
    return {joint.join(units[i : i + size]) for i in range(max(1, len(units) - size + 1))}


def shingle_hashes(texts: Sequence[str], length: TextLength = "long") -> ShingleHashes:
    """Returns the hashes of every text's shingles, repeats included, in the order of the texts."""
    cleaned = [_cleaned(text, length) or "\0" for text in texts]
    pieces = [_piece(text, length) for text in cleaned]
    sizes = np.array([size for size, _ in pieces], dtype=np.int64)
    by_words = np.array([words for _, words in pieces], dtype=bool)
    joined = _SEPARATOR.join(cleaned).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(joined, dtype=np.uint32).astype(np.uint64)
    starts, ends, units_of = _units(codes, by_words)
    first_unit = np.concatenate(([0], np.cumsum(units_of)))[:-1]
    counts = np.maximum(1, units_of - sizes + 1)
    offsets = np.concatenate(([0], np.cumsum(counts)))
    first = np.repeat(first_unit - offsets[:-1], counts) + np.arange(offsets[-1])
    last = first + np.repeat(np.minimum(sizes, units_of), counts) - 1
    return ShingleHashes(_range_hashes(codes, starts[first], ends[last]), offsets.astype(np.uint64))


def _cleaned(text: str, length: TextLength) -> str:
    normalised = normalise_text(text)
    return _MARKS.sub(" ", normalised).strip() or normalised if length == "short" else normalised


def _piece(cleaned: str, length: TextLength) -> tuple[int, bool]:
    """Returns how many units a shingle has, and whether the units are words or characters."""
    spaced = (cleaned.count(" ") + 1) * 12 > len(cleaned)
    if length == "short":
        return (_CHARACTERS_OF_SHORT_SPACED if spaced else _CHARACTERS_OF_SHORT_UNSPACED), False
    return (_WORDS if spaced else _CHARACTERS), spaced


def _units(
    codes: Hashes, by_words: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns where each unit starts and ends, and how many units each text has."""
    separator = codes == ord(_SEPARATOR)
    text_of = np.cumsum(separator)
    in_words = by_words[text_of]
    gap = separator | (in_words & (codes == ord(" ")))
    padded = np.concatenate(([True], gap, [True]))
    starts = np.flatnonzero(~gap & (padded[:-2] | ~in_words))
    ends = np.flatnonzero(~gap & (padded[2:] | ~in_words)) + 1
    return starts, ends, np.bincount(text_of[starts], minlength=len(by_words))


def _range_hashes(codes: Hashes, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> Hashes:
    """Returns a hash of codes[start:end] for each pair; equal ranges have equal hashes.

    A polynomial modulo 2**64 over mixed characters, taken from prefix sums, so that a range
    costs the same whatever its length.
    """
    powers = _powers(_BASE, len(codes))
    prefix = np.concatenate((np.zeros(1, np.uint64), np.cumsum(mixed(codes) * powers, dtype=np.uint64)))
    sums = prefix[ends] - prefix[starts]
    return mixed(sums * _powers(_BASE_INVERSE, len(codes))[starts])


def _powers(base: int, count: int) -> Hashes:
    factors = np.full(count, base, dtype=np.uint64)
    factors[:1] = 1
    return np.cumprod(factors, dtype=np.uint64)


def mixed(values: Hashes) -> Hashes:
    """Spreads 64-bit values evenly (the finalizer of SplitMix64)."""
    mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
