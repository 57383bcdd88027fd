"""Vectors that are computed once: a cache on disk that can't go stale.

One folder for each way of encoding (weights, prompt, kind, length limit, precision,
normalisation, dimensions: see Encoder.cache_key), in it segments that are written once and
never changed:

    CACHE/<hash of the way of encoding>/about.json
    CACHE/<hash of the way of encoding>/<time>-<process>-<random>.safetensors

A segment (see segment.py) is renamed into place when complete, so processes never see each
other's half-written files. A damaged row fails its checksum and is encoded again.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from embedtune import progress
from embedtune.artifact import disk_errors, write_text_whole
from embedtune.errors import OptionsError, describe_unknown
from embedtune.models.encoder import Encoder, TextKind, Vectors
from embedtune.models.segment import Keys, Segment, SegmentError, StoredVectors, write_segment
from embedtune.models.stored import CachePrecision, Keyed, rounded, text_keys, way_name, way_of
from embedtune.models.tuned_encoder import TunedEncoder, moved_documents_of

__all__ = ["CachePrecision", "EmbeddingCache", "default_cache_folder"]

_TEXTS_PER_STEP = 512
"""Enough to keep every core busy for seconds; what is done is written between steps."""
_SECONDS_PER_SEGMENT = 30.0
_BYTES_PER_SEGMENT = 64_000_000
_ROWS_AT_ONCE = 256
_COPYING_THREADS = 2

Places = npt.NDArray[np.int64]


def default_cache_folder() -> Path:
    """Returns where vectors are cached: $EMBEDTUNE_CACHE_DIR or the user's cache folder."""
    chosen = os.environ.get("EMBEDTUNE_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "embedtune" / "vectors"


class EmbeddingCache:
    """Encodes what it doesn't hold yet and remembers it; without a folder it only encodes.

    With the precision float16 vectors take half the disk, and are rounded before they are
    returned the first time, so that every time gives the same. `encoded` counts the texts that
    had to be encoded since the cache was opened, `encoded_of` by kind.
    """

    def __init__(self, folder: str | Path | None, precision: str = "float32") -> None:
        if precision not in get_args(CachePrecision):
            raise OptionsError(describe_unknown("cache precision", precision, get_args(CachePrecision)))
        self.folder = None if folder is None else Path(folder)
        self.precision = precision
        self.encoded = 0
        self.encoded_of: Counter[TextKind] = Counter()

    def encode(self, encoder: Encoder, texts: list[str], kind: TextKind) -> Vectors:
        """Returns (len(texts), dim) float32 in the order of the texts, as the encoder would.

        Equal texts are encoded once. What is done is on disk every half minute, and also when
        the work is interrupted. Raises StorageError where the disk is full.
        """
        if isinstance(encoder, TunedEncoder):
            return encoder.finish(self.encode(encoder.base, texts, kind), kind)
        unique = list(dict.fromkeys(texts))
        first_place: dict[str, int] = {}
        places = np.arange(len(unique))
        if len(unique) < len(texts):
            first_place = dict(zip(reversed(texts), range(len(texts) - 1, -1, -1), strict=True))
            places = np.fromiter(map(first_place.__getitem__, unique), dtype=np.int64, count=len(unique))
        vectors = np.empty((len(texts), encoder.dim), dtype=np.float32)
        store = None if self.folder is None else _Store(self.folder, encoder, kind, self.precision)
        keys = text_keys(unique if store is not None else [])
        missing = np.arange(len(unique)) if store is None else store.read(keys, places, vectors)
        fresh_texts = [unique[row] for row in missing.tolist()]
        for rows, fresh in _encode_in_steps(encoder, fresh_texts, kind, store, keys[missing] if store else keys):
            vectors[places[missing[rows]]] = fresh if store is None else store.as_stored(fresh)
        self.encoded += len(missing)
        self.encoded_of[kind] += len(missing)
        if len(unique) < len(texts):
            source = np.fromiter(map(first_place.__getitem__, texts), dtype=np.int64, count=len(texts))
            copies = np.flatnonzero(source != np.arange(len(texts)))
            vectors[copies] = vectors[source[copies]]
        return vectors

    def missing(self, encoder: Keyed, texts: Sequence[str], kind: TextKind) -> int:
        """Returns how many of the texts, equal ones counted once, would have to be encoded."""
        unique = list(dict.fromkeys(texts))
        if self.folder is None:
            return len(unique)
        return _Store(self.folder, encoder, kind, self.precision).count_missing(text_keys(unique))

    def encode_corpus(self, encoder: Encoder, corpus: Mapping[str, str]) -> Vectors:
        """Returns the documents' vectors in the corpus's order, moved where they have moved for this encoder."""
        vectors = self.encode(encoder, list(corpus.values()), "document")
        moved = moved_documents_of(encoder)
        return vectors if moved is None else moved.put_into(vectors, corpus)


def _encode_in_steps(
    encoder: Encoder, texts: list[str], kind: TextKind, store: _Store | None, keys: Keys
) -> Iterator[tuple[list[int], Vectors]]:
    """Yields (rows, vectors), longest texts first, and gives them to the store as it goes."""
    order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
    label = "encode queries" if kind == "query" else "encode documents"
    with progress.task(label, total=len(texts)) as encoding:
        try:
            for start in range(0, len(order), _TEXTS_PER_STEP):
                rows = order[start : start + _TEXTS_PER_STEP]
                fresh = encoder.encode([texts[row] for row in rows], kind)
                if store is not None:
                    store.add(keys[rows], fresh)
                encoding.advance(len(rows))
                yield rows, fresh
        finally:
            if store is not None:
                store.flush()


class _Store:
    """The segments of one way of encoding."""

    def __init__(self, folder: Path, encoder: Keyed, kind: TextKind, precision: str) -> None:
        self._way = way_of(encoder, kind, precision)
        self.folder = folder / way_name(self._way)
        self._dim = encoder.dim
        self._precision = precision
        self._dtype = np.dtype(precision)
        self._pending: list[tuple[Keys, StoredVectors]] = []
        self._last_flush = time.monotonic()

    def read(self, keys: Keys, places: Places, vectors: Vectors) -> Places:
        """Fills `vectors[places[row]]` for each row of `keys` that is stored; returns the rows that aren't."""
        wanted = _Wanted(keys)
        segments = sorted(self.folder.glob("*.safetensors"), reverse=True)
        opened = [(path, self._open(path)) for path in segments] if len(keys) else []
        with ThreadPoolExecutor(_COPYING_THREADS) as pool:
            copies = []
            for number, (path, segment) in enumerate(opened):
                for _, following in opened[number + 1 : number + 2]:
                    if following is not None:
                        following.read_ahead()
                if segment is not None:
                    stored, rows = self._find(path, segment, wanted)
                    copies.append(pool.submit(_copy, segment.vectors, stored, vectors, places[rows]))
            for copy in copies:
                copy.result()
        return wanted.missing()

    def count_missing(self, keys: Keys) -> int:
        """Returns how many of the keys aren't stored; damaged vectors count as stored."""
        wanted = _Wanted(keys)
        for path in sorted(self.folder.glob("*.safetensors"), reverse=True) if len(keys) else ():
            segment = self._open(path)
            if segment is not None:
                wanted.strike_off(wanted.among(segment.keys)[1])
        return len(wanted.missing())

    def _open(self, path: Path) -> Segment | None:
        try:
            segment = Segment.open(path)
            if segment.vectors.shape[1] != self._dim or segment.vectors.dtype != self._dtype:
                found = f"{segment.vectors.dtype} vectors of {segment.vectors.shape[1]}"
                raise SegmentError(f"{found}, expected {self._dtype} of {self._dim}")
        except SegmentError as error:
            progress.say(f"warning: the cache file {path} is damaged ({error}); encoding its texts again")
            return None
        return segment

    @staticmethod
    def _find(path: Path, segment: Segment, wanted: _Wanted) -> tuple[Places, Places]:
        """Returns the sound rows of a segment that are wanted and which they are; strikes them off `wanted`."""
        stored, rows = wanted.among(segment.keys)
        sound = segment.sound(stored)
        if not sound.all():
            bad = int((~sound).sum())
            progress.say(f"warning: {bad} vectors in the cache file {path} are damaged; encoding them again")
            stored, rows = stored[sound], rows[sound]
        wanted.strike_off(rows)
        return stored, rows

    def as_stored(self, vectors: Vectors) -> Vectors:
        """Returns the vectors as they will be read back."""
        return rounded(vectors, self._precision).astype(np.float32, copy=False)

    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Keeps vectors for the next segment and writes it when it is due."""
        self._pending.append((keys, rounded(vectors, self._precision)))
        size_bytes = sum(vectors.nbytes for _, vectors in self._pending)
        if size_bytes >= _BYTES_PER_SEGMENT or time.monotonic() - self._last_flush >= _SECONDS_PER_SEGMENT:
            self.flush()

    def flush(self) -> None:
        """Writes what is pending as one segment; raises StorageError where the disk is full."""
        self._last_flush = time.monotonic()
        if not self._pending:
            return
        keys = np.concatenate([keys for keys, _ in self._pending])
        vectors = np.concatenate([vectors for _, vectors in self._pending])
        self._pending = []
        name = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}"
        temporary = self.folder / f".{name}.tmp"
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not (self.folder / "about.json").exists():
                about = json.dumps(self._way, ensure_ascii=False, indent=2) + "\n"
                write_text_whole(self.folder / "about.json", about)
            try:
                write_segment(temporary, keys, vectors)
                temporary.rename(self.folder / f"{name}.safetensors")
            finally:
                temporary.unlink(missing_ok=True)


def _copy(source: StoredVectors, stored: Places, vectors: Vectors, places: Places) -> None:
    """Copies rows in pieces that fit a core's cache."""
    for start in range(0, len(stored), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        vectors[places[part]] = source[stored[part]]


class _Wanted:
    """The keys that are still looked for; found by the first half of the key, sure by both."""

    def __init__(self, keys: Keys) -> None:
        self._halves = np.ascontiguousarray(keys).view(np.uint64)
        self._order = np.argsort(self._halves[:, 0], kind="stable")
        self._sorted = self._halves[self._order, 0]
        self._found = np.zeros(len(keys), dtype=np.bool_)

    def among(self, keys: Keys) -> tuple[Places, Places]:
        """Returns which of `keys` are wanted and not found yet, and their rows among the wanted."""
        halves = np.ascontiguousarray(keys).view(np.uint64)
        place = np.minimum(np.searchsorted(self._sorted, halves[:, 0]), len(self._sorted) - 1)
        rows = self._order[place]
        hit = np.flatnonzero((self._halves[rows] == halves).all(axis=1) & ~self._found[rows])
        return hit, rows[hit]

    def strike_off(self, rows: Places) -> None:
        """Marks rows as found."""
        self._found[rows] = True

    def missing(self) -> Places:
        """Returns the rows that weren't found."""
        return np.flatnonzero(~self._found)
