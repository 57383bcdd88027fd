"""An encoder whose query vectors are mapped, or whose documents have moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from embedtune.errors import EncoderError
from embedtune.models.encoder import Encoder, TextKind, Vectors

if TYPE_CHECKING:
    from embedtune.models.moved_documents import MovedDocuments
    from embedtune.models.vector_map import VectorMap

__all__ = ["TunedEncoder", "moved_documents_of"]


class TunedEncoder:
    """A base encoder with a map for queries, moved documents, or both.

    What the cache keeps are the base's vectors, so neither queries nor documents are encoded
    again for it.
    Raises EncoderError for moved documents of other dimensions than the base's.
    """

    def __init__(self, base: Encoder, query_map: VectorMap | None, moved: MovedDocuments | None) -> None:
        if moved is not None and moved.ids and moved.vectors.shape[1] != base.dim:
            raise EncoderError(
                f"the moved documents have {moved.vectors.shape[1]} dimensions, the model's vectors {base.dim}",
                remedy="run embedtune train --method nudge again; moved documents belong to the model they came from",
            )
        self.base = base
        self.query_map = query_map
        self.moved = moved

    @property
    def dim(self) -> int:
        """Returns the length of one vector."""
        return self.base.dim

    @property
    def cache_key(self) -> dict[str, Any]:
        """Returns all that changes a vector besides the text, its kind, and the document's id."""
        key = dict(self.base.cache_key)
        if self.query_map is not None:
            key["query_map"] = self.query_map.fingerprint
        if self.moved is not None:
            key["moved_documents"] = self.moved.fingerprint
        return key

    def __str__(self) -> str:
        changes = (("a map of queries", self.query_map), ("moved documents", self.moved))
        return ", ".join([str(self.base), *(f"with {what}" for what, there in changes if there is not None)])

    def prompt(self, kind: TextKind) -> str:
        """Returns the base's prompt."""
        return self.base.prompt(kind)

    def encode(self, texts: list[str], kind: TextKind) -> Vectors:
        """Returns (len(texts), dim) float32; documents by text alone, so as if none had moved."""
        return self.finish(self.base.encode(texts, kind), kind)

    def finish(self, vectors: Vectors, kind: TextKind) -> Vectors:
        """Returns what the base's vectors become."""
        return self.query_map.apply(vectors) if kind == "query" and self.query_map is not None else vectors


def moved_documents_of(encoder: Encoder) -> MovedDocuments | None:
    """Returns the documents that have moved for this encoder, if any have."""
    return encoder.moved if isinstance(encoder, TunedEncoder) else None
