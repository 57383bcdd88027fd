"""Documents as far as they will be read: no query about what an encoder never sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from embedtune.data.chunking import CountTokens, chunk_documents
from embedtune.data.source_document import SourceDocument
from embedtune.language.tokens import estimated_tokens
from embedtune.models.encoder import Encoder

__all__ = ["Cut", "cut_documents"]


_CHARACTERS_A_TOKEN = 20
"""No text has so many on average; what is beyond needn't be looked at."""


class Cut(NamedTuple):
    """The texts, which of them are shorter than their documents, and the limit in tokens."""

    texts: dict[str, str]
    shortened: list[str]
    limit: int
    by_encoder: bool


def cut_documents(documents: Mapping[str, str], longest: int, encoder: Encoder | None = None) -> Cut:
    """Returns each document's beginning, up to an end of sentence within the limit.

    The limit is what the encoder reads beside special tokens and prompt, or `longest` tokens where that is
    less; without an encoder tokens are estimated.
    """
    count, room = _measure(encoder)
    limit = longest if room is None else min(longest, room)
    texts: dict[str, str] = {}
    shortened = []
    lengths = count(list(documents.values()))
    for (document_id, text), tokens in zip(documents.items(), lengths, strict=True):
        texts[document_id] = text if tokens <= limit else _beginning(text, count, limit)
        if tokens > limit:
            shortened.append(document_id)
    return Cut(texts, shortened, limit, room is not None and limit == room)


def _beginning(text: str, count: CountTokens, limit: int) -> str:
    (chunks,) = chunk_documents([SourceDocument(text[: limit * _CHARACTERS_A_TOKEN])], count, max_tokens=limit)
    return text[: chunks[0].end] if chunks else text


def _measure(encoder: Any) -> tuple[CountTokens, int | None]:
    """Returns how tokens are counted and how many of them an encoder reads; None where it names no limit."""
    count = getattr(encoder, "count_tokens", None)
    limit = getattr(encoder, "max_length", None)
    if count is None or limit is None:
        return lambda texts: [estimated_tokens(text) for text in texts], None
    around = count([encoder.prompt("document")])[0]

    def inside(texts: list[str]) -> list[int]:
        return [tokens - around for tokens in count([encoder.prompt("document") + text for text in texts])]

    return inside, limit - around
