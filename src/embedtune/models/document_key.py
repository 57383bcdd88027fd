"""Which encodings of documents may stand side by side in one collection."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from embedtune.models.encoder import Encoder
from embedtune.models.moved_documents import text_hash
from embedtune.models.tuned_encoder import moved_documents_of

__all__ = ["DocumentKeys"]

_BYTES = 8
_LEFT_OUT = ("precision", "computed", "query_map", "moved_documents")
"""float32, bfloat16 and float16 differ by rounding, as do the programs that compute; a map is for queries alone."""


class DocumentKeys:
    """Names, in 16 hexadecimal digits, all that decides a document's vector but for how floats are rounded.

    Documents share one key, so a model with a map of queries has that of its base, whose document
    vectors it searches; int8 has its own. A moved document's key is that of its vector.
    """

    def __init__(self, encoder: Encoder, corpus: Mapping[str, str]) -> None:
        way = {name: value for name, value in encoder.cache_key.items() if name not in _LEFT_OUT}
        way |= {"prompt": encoder.prompt("document"), "int8": encoder.cache_key.get("precision") == "int8"}
        self._plain = _hash(json.dumps(way, sort_keys=True, ensure_ascii=False).encode())
        self._moved: dict[str, str] = {}
        if (moved := moved_documents_of(encoder)) is not None:
            for document_id, vector, hashed in zip(moved.ids, moved.vectors, moved.text_hashes, strict=True):
                if document_id not in corpus or text_hash(corpus[document_id]) == hashed:
                    self._moved[document_id] = _hash(self._plain.encode() + vector.astype("<f4").tobytes())

    def __getitem__(self, document_id: str) -> str:
        return self._moved.get(document_id, self._plain)


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=_BYTES).hexdigest()
