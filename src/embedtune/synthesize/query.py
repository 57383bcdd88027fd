"""One query that was made from a document."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

__all__ = ["SyntheticQuery"]

_ID_PREFIX = "synth-"


@dataclass(frozen=True)
class SyntheticQuery:
    """A query with the document that answers it; `kind` and `language` say what it is like."""

    document_id: str
    text: str
    kind: str
    answer: str | None = None
    language: str = ""

    def query_id(self) -> str:
        """Returns an id that depends on the document's id and the text alone, so it stays the same."""
        whole = f"{self.document_id}\0{self.text}".encode("utf-8", "surrogatepass")
        return _ID_PREFIX + hashlib.blake2b(whole, digest_size=10).hexdigest()
