"""Vectors that are computed once: a cache on disk that can't go stale.

One folder for each way of encoding (weights, prompt, kind, length limit, precision,
normalisation, dimensions: see Encoder.cache_key), in it segments that are written once and
never changed:

    CACHE/<hash of the way of encoding>/about.json
    CACHE/<hash of the way of encoding>/<time>-<process>-<random>.safetensors

A segment holds `keys` (n, 16), a hash of each text; `vectors` (n, dim) float32; `checksums`
(n,), a hash over key and vector. It is renamed into place when complete, so processes never
see each other's half-written files. A damaged row fails its checksum and is encoded again.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from embedtune import progress
from embedtune.artifact import disk_errors, write_text_whole
from embedtune.models.encoder import Encoder, TextKind, Vectors
from embedtune.models.tuned_encoder import TunedEncoder, moved_documents_of

__all__ = ["EmbeddingCache", "default_cache_folder"]

_FORMAT = 1
_KEY_BYTES = 16
_TEXTS_PER_STEP = 128
_SECONDS_PER_SEGMENT = 30.0
_BYTES_PER_SEGMENT = 64_000_000

Keys = npt.NDArray[np.uint8]


def default_cache_folder() -> Path:
    """Returns where vectors are cached: $EMBEDTUNE_CACHE_DIR or the user's cache folder."""
    chosen = os.environ.get("EMBEDTUNE_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "embedtune" / "vectors"


class EmbeddingCache:
    """Encodes what it doesn't hold yet and remembers it; without a folder it only encodes.

    `encoded` counts the texts that had to be encoded since the cache was opened, `encoded_of` by kind.
    """

    def __init__(self, folder: str | Path | None) -> None:
        self.folder = None if folder is None else Path(folder)
        self.encoded = 0
        self.encoded_of: Counter[TextKind] = Counter()

    def encode(self, encoder: Encoder, texts: list[str], kind: TextKind) -> Vectors:
        """Returns (len(texts), dim) float32 in the order of the texts, as the encoder would.

        Equal texts are encoded once. What is done is on disk every half minute, and also when
        the work is interrupted. Raises StorageError where the disk is full.
        """
        if isinstance(encoder, TunedEncoder):
            return encoder.finish(self.encode(encoder.base, texts, kind), kind)
        positions: dict[str, list[int]] = {}
        for position, text in enumerate(texts):
            positions.setdefault(text, []).append(position)
        unique = list(positions)
        store = None if self.folder is None else _Store(self.folder, encoder, kind)
        vectors = np.empty((len(unique), encoder.dim), dtype=np.float32)
        missing = list(range(len(unique))) if store is None else store.read(unique, vectors)
        for rows, fresh in _encode_in_steps(encoder, [unique[row] for row in missing], kind, store):
            vectors[[missing[row] for row in rows]] = fresh
        self.encoded += len(missing)
        self.encoded_of[kind] += len(missing)
        order = np.empty(len(texts), dtype=np.int64)
        for row, text in enumerate(unique):
            order[positions[text]] = row
        return vectors[order]

    def encode_corpus(self, encoder: Encoder, corpus: Mapping[str, str]) -> Vectors:
        """Returns the documents' vectors in the corpus's order, moved where they have moved for this encoder."""
        vectors = self.encode(encoder, list(corpus.values()), "document")
        moved = moved_documents_of(encoder)
        return vectors if moved is None else moved.put_into(vectors, corpus)


def _encode_in_steps(
    encoder: Encoder, texts: list[str], kind: TextKind, store: _Store | None
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
                    store.add([texts[row] for row in rows], fresh)
                encoding.advance(len(rows))
                yield rows, fresh
        finally:
            if store is not None:
                store.flush()


class _Store:
    """The segments of one way of encoding."""

    def __init__(self, folder: Path, encoder: Encoder, kind: TextKind) -> None:
        way = {"format": _FORMAT, "kind": kind, "prompt": encoder.prompt(kind)} | encoder.cache_key
        text = json.dumps(way, sort_keys=True, ensure_ascii=False)
        self.folder = folder / hashlib.sha256(text.encode()).hexdigest()[:32]
        self._way = way
        self._dim = encoder.dim
        self._pending: list[tuple[Keys, Vectors]] = []
        self._last_flush = time.monotonic()

    def read(self, texts: list[str], vectors: Vectors) -> list[int]:
        """Fills the rows of `vectors` that are stored; returns the rows that aren't."""
        wanted = {key.tobytes(): row for row, key in enumerate(_keys(texts))}
        for segment in sorted(self.folder.glob("*.safetensors"), reverse=True):
            if not wanted:
                break
            self._read_segment(segment, wanted, vectors)
        return sorted(wanted.values())

    def _read_segment(self, segment: Path, wanted: dict[bytes, int], vectors: Vectors) -> None:
        """Takes what is wanted from one segment and strikes it off `wanted`."""
        try:
            with safe_open(segment, framework="numpy") as file:
                keys = file.get_tensor("keys")
                found = [(i, key) for i, key in enumerate(map(bytes, keys)) if key in wanted]
                if not found:
                    return
                places = [i for i, _ in found]
                stored, checksums = file.get_tensor("vectors")[places], file.get_tensor("checksums")[places]
            sound = _checksums(keys[places], stored) == checksums
            if stored.shape[1:] != (self._dim,):
                raise SafetensorError(f"vectors of {stored.shape[1:]}, expected {self._dim}")
        except (SafetensorError, OSError, ValueError, KeyError, IndexError) as error:
            progress.say(f"warning: the cache file {segment} is damaged ({error}); encoding its texts again")
            return
        if not sound.all():
            bad = int((~sound).sum())
            progress.say(f"warning: {bad} vectors in the cache file {segment} are damaged; encoding them again")
        for ok, (_, key), vector in zip(sound, found, stored, strict=True):
            if ok:
                vectors[wanted.pop(key)] = vector

    def add(self, texts: list[str], vectors: Vectors) -> None:
        """Keeps vectors for the next segment and writes it when it is due."""
        self._pending.append((_keys(texts), vectors))
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
            tensors = {"keys": keys, "vectors": vectors, "checksums": _checksums(keys, vectors)}
            try:
                _save_synced(tensors, temporary)
                temporary.rename(self.folder / f"{name}.safetensors")
            finally:
                temporary.unlink(missing_ok=True)


def _save_synced(tensors: dict[str, npt.NDArray[Any]], path: Path) -> None:
    """Writes a safetensors file down to the disk, so that a rename never precedes its content."""
    with path.open("wb") as file:
        file.write(save(tensors))
        file.flush()
        os.fsync(file.fileno())


def _keys(texts: list[str]) -> Keys:
    """Returns (n, 16) uint8: a BLAKE2b hash of each text."""
    hashes = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest() for text in texts]
    return np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(len(texts), _KEY_BYTES)


def _checksums(keys: Keys, vectors: Vectors) -> npt.NDArray[np.uint64]:
    """Returns (n,) uint64: XXH3 over each row's key and vector."""
    rows = zip(np.ascontiguousarray(keys), np.ascontiguousarray(vectors), strict=True)
    return np.fromiter(
        (xxhash.xxh3_64_intdigest(key.tobytes() + vector.tobytes()) for key, vector in rows),
        dtype=np.uint64,
        count=len(keys),
    )
