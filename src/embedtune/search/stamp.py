"""What a collection keeps beside each document: hashes of its text and its vector, and whose vector it is."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

__all__ = ["Stamp"]

_HASH_BYTES = 10
_PARTS = 3


class Stamp(NamedTuple):
    """Hexadecimal digits for a document's id and text, for its vector, and the key of its encoder (DocumentKeys).

    As a text, at most 64 characters, it is the field content_hash of every store.
    """

    text: str
    vector: str
    encoder: str

    def __str__(self) -> str:
        return "-".join(self)

    @classmethod
    def of(cls, document_id: str, text: str, vector: bytes, encoder: str) -> Stamp:
        """Returns the stamp of a document; `vector` are its bytes in float32, little-endian."""
        return cls(cls.text_of(document_id, text), _hash(vector), encoder)

    @staticmethod
    def text_of(document_id: str, text: str) -> str:
        """Returns the digits for an id and a text."""
        return _hash(document_id.encode(errors="surrogatepass"), text.encode(errors="surrogatepass"))

    @classmethod
    def read(cls, content_hash: str) -> Stamp | None:
        """Returns the stamp in a field; None where it is of another form, as before encoders were noted."""
        parts = (content_hash or "").split("-")
        return cls(*parts) if len(parts) == _PARTS else None


def _hash(*parts: bytes) -> str:
    digest = hashlib.blake2b(digest_size=_HASH_BYTES)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
