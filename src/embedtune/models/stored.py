"""How vectors are kept on disk, in the cache and in shards alike: under which keys, and how they are rounded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from embedtune.errors import EncoderError
from embedtune.models.encoder import Encoder, TextKind, Vectors
from embedtune.models.segment import KEY_BYTES, Keys, StoredVectors
from embedtune.models.tuned_encoder import TunedEncoder, moved_documents_of

__all__ = ["CachePrecision", "document_way", "rounded", "text_keys", "way_name", "way_of"]

CachePrecision = Literal["float32", "float16"]
_FORMAT = 1


def way_of(encoder: Encoder, kind: TextKind, precision: str) -> dict[str, Any]:
    """Returns all that changes a stored vector besides its text, as JSON values."""
    way = {"format": _FORMAT, "kind": kind, "prompt": encoder.prompt(kind)} | encoder.cache_key
    return way if precision == "float32" else way | {"stored": precision}


def document_way(encoder: Encoder, precision: str) -> dict[str, Any]:
    """Returns all that changes a document's stored vector besides its text and, where some have moved, its id."""
    base = encoder.base if isinstance(encoder, TunedEncoder) else encoder
    moved = moved_documents_of(encoder)
    way = way_of(base, "document", precision)
    return way if moved is None else way | {"moved_documents": moved.fingerprint}


def way_name(way: Mapping[str, Any]) -> str:
    """Returns the name of the folder of what was encoded in this way."""
    text = json.dumps(way, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def text_keys(texts: list[str]) -> Keys:
    """Returns (n, 16) uint8: a BLAKE2b hash of each text."""
    hashes = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest() for text in texts]
    return np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(len(texts), KEY_BYTES)


def rounded(vectors: Vectors, precision: str) -> StoredVectors:
    """Returns the vectors as they are stored; raises EncoderError where float16 can't hold them."""
    if precision == "float32":
        return vectors
    if len(vectors) and np.abs(vectors).max() > np.finfo(np.float16).max:
        raise EncoderError(
            f"vectors hold {np.abs(vectors).max():.4g}, more than float16 can",
            remedy="keep these in the cache as float32",
        )
    return vectors.astype(np.float16)
