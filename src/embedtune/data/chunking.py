"""Cuts documents into chunks that an encoder reads whole, at headings and ends of sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from embedtune.data.source_document import Heading, SourceDocument
from embedtune.errors import OptionsError

__all__ = ["Chunk", "CountTokens", "chunk_documents", "sentences"]

CountTokens = Callable[[list[str]], list[int]]
"""Texts → their lengths in tokens, without the special tokens that an encoder adds."""

_CLOSING = r"[\"'”’」』）》】)\]}]*"
_SENTENCE_END = re.compile(
    rf"[。！？…]+{_CLOSING}\s*|；{_CLOSING}|(?<![.!?])[.!?]++{_CLOSING}\s+(?=[^a-z\s])"
    r"|(?<![!?])[!?]++(?=[\u3400-\u9fff])|\n\s*\n\s*"
)
_LINE_END = re.compile(r"\n\s*")
_CLAUSE_END = re.compile(r"[，、：,;:]\s*")
_WORD_END = re.compile(r"\s+")
_FINER = (_LINE_END, _CLAUSE_END, _WORD_END)


class Chunk(NamedTuple):
    """A piece of a document: `text` is document.text[start:end]."""

    text: str
    headings: tuple[str, ...]
    start: int
    end: int


class _Piece(NamedTuple):
    start: int
    end: int
    tokens: int


def chunk_documents(
    documents: Iterable[SourceDocument], count_tokens: CountTokens, *, max_tokens: int, overlap_tokens: int = 0
) -> Iterator[list[Chunk]]:
    """Yields the chunks of each document, in order; none has more than `max_tokens` tokens.

    A chunk doesn't reach over a heading; a heading without text of its own stays with the one
    below it. Inside a section whole sentences (Chinese or English) are packed as full as they go;
    a sentence that is too long is cut at lines, then clauses, then words, then anywhere. A chunk
    begins with up to `overlap_tokens` tokens of whole pieces from the end of the one before it in
    the same section. Raises OptionsError where the overlap leaves no room.
    """
    if max_tokens < 1 or not 0 <= overlap_tokens < max_tokens:
        raise OptionsError(f"an overlap of {overlap_tokens} must be less than the longest chunk, {max_tokens}")
    for document in documents:
        yield [
            chunk
            for headings, start, end in _sections(document)
            for chunk in _chunks(document.text, headings, start, end, count_tokens, max_tokens, overlap_tokens)
        ]


def sentences(text: str) -> list[str]:
    """Returns a text's sentences, Chinese or English, in order and without blanks at their ends."""
    cuts = _cuts(text, 0, len(text), _SENTENCE_END)
    found = (text[first:last].strip() for first, last in pairwise(cuts))
    return [sentence for sentence in found if sentence]


def _sections(document: SourceDocument) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """Yields the heading path, start and end of each section that has text below its headings."""
    text = document.text
    starts = [Heading(0, 0, ""), *document.headings, Heading(len(text), 0, "")]
    path: list[Heading] = []
    waiting: int | None = None
    for heading, following in pairwise(starts):
        if heading.level:
            path = [above for above in path if above.level < heading.level] + [heading]
        start = heading.start if waiting is None else waiting
        body = " ".join(text[heading.start : following.start].strip("#=- \t\r\n").split())
        last = following.start == len(text)
        if body == heading.title and heading.level and not last and following.level > heading.level:
            waiting = start
        elif text[start : following.start].strip():
            waiting = None
            yield tuple(above.title for above in path), start, following.start


def _chunks(
    text: str,
    headings: tuple[str, ...],
    start: int,
    end: int,
    count_tokens: CountTokens,
    max_tokens: int,
    overlap_tokens: int,
) -> Iterator[Chunk]:
    """Yields a section's chunks; where joined pieces count for more than apart, packs them looser."""
    room = max_tokens
    while True:
        pieces = _pieces(text, start, end, count_tokens, room, (_SENTENCE_END, *_FINER))
        spans = [_trimmed(text, *span) for span in _packed(pieces, room, min(overlap_tokens, room - 1))]
        lengths = count_tokens([text[first:last] for first, last in spans])
        longest = max(lengths, default=0)
        if longest <= max_tokens or room <= 1:
            break
        room = max(1, min(room - 1, room * max_tokens // longest))
    for first, last in spans:
        if first < last:
            yield Chunk(text[first:last], headings, first, last)


def _pieces(
    text: str, start: int, end: int, count_tokens: CountTokens, room: int, borders: Sequence[re.Pattern[str]]
) -> list[_Piece]:
    """Returns the span in pieces of at most `room` tokens, cut at the first kind of border that does."""
    cuts = _cuts(text, start, end, borders[0]) if borders else _middle(start, end)
    spans = list(pairwise(cuts))
    counts = count_tokens([text[first:last].strip() for first, last in spans])
    found: list[_Piece] = []
    for (first, last), tokens in zip(spans, counts, strict=True):
        if tokens <= room or last - first <= 1:
            found.append(_Piece(first, last, tokens))
        else:
            found += _pieces(text, first, last, count_tokens, room, borders[1:])
    return found


def _cuts(text: str, start: int, end: int, border: re.Pattern[str]) -> list[int]:
    inside = (found.end() for found in border.finditer(text, start, end))
    return [start, *(cut for cut in inside if start < cut < end), end]


def _middle(start: int, end: int) -> list[int]:
    return [start, (start + end) // 2, end]


def _packed(pieces: Sequence[_Piece], room: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Yields the (start, end) of each run of pieces, with the overlap at its start."""
    run: list[_Piece] = []
    fresh = 0
    for piece in pieces:
        if fresh and sum(one.tokens for one in run) + piece.tokens > room:
            yield run[0].start, run[-1].end
            run = _tail(run, min(overlap, room - piece.tokens))
            fresh = 0
        run.append(piece)
        fresh += 1
    if fresh:
        yield run[0].start, run[-1].end


def _tail(run: Sequence[_Piece], room: int) -> list[_Piece]:
    """Returns as many of the last pieces as fit, but never all of them."""
    tail: list[_Piece] = []
    for piece in reversed(run[1:]):
        room -= piece.tokens
        if room < 0:
            break
        tail.insert(0, piece)
    return tail


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Returns the span without blanks at its ends."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())
