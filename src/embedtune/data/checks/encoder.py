"""What an encoder would do to the texts: cut them, or miss its prompt."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from embedtune import progress
from embedtune.data.checks.finding import Finding, counted, finding, snippet
from embedtune.data.checks.view import DatasetView

__all__ = ["EncoderFacts", "check_encoder"]

_MEASURED_TEXTS = 20_000
_TEXTS_AT_ONCE = 500
_LOST_SHARE = 0.01


@dataclass(frozen=True)
class EncoderFacts:
    """What the checks need to know of an encoder; `count_tokens` counts special tokens too, before any cut."""

    name: str
    max_length: int | None
    count_tokens: Callable[[list[str]], list[int]]
    query_prompt: str
    document_prompt: str


class _KnownPrompts(NamedTuple):
    pattern: str
    query: str
    document: str


_BGE_EN = "Represent this sentence for searching relevant passages: "
_KNOWN_PROMPTS = (
    _KnownPrompts(r"bge-(small|base|large)-zh(-v1\.5)?\b", "为这个句子生成表示以用于检索相关文章：", ""),
    _KnownPrompts(r"bge-(small|base|large)-en(-v1\.5)?\b", _BGE_EN, ""),
    _KnownPrompts(r"\be5-(small|base|large)(-v2)?(?!.*instruct)", "query: ", "passage: "),
    _KnownPrompts(r"mxbai-embed-large", _BGE_EN, ""),
    _KnownPrompts(r"arctic-embed-(xs|s|m|l)(-v1\.5)?$", _BGE_EN, ""),
    _KnownPrompts(r"arctic-embed-[ml]-v2", "query: ", ""),
    _KnownPrompts(r"nomic-embed-text", "search_query: ", "search_document: "),
)
"""The prompts that the models' own cards name, by the model's name."""


def check_encoder(view: DatasetView, encoder: EncoderFacts) -> Iterator[Finding]:
    """Yields texts over the encoder's limit, what is lost of them, and a prompt that is missing."""
    yield from _missing_prompt(encoder)
    if encoder.max_length is None:
        return
    corpus, queries = view.dataset.corpus, view.dataset.queries
    yield from _cut_texts("documents", corpus, encoder, encoder.document_prompt)
    yield from _cut_texts("queries", queries, encoder, encoder.query_prompt)


def _missing_prompt(encoder: EncoderFacts) -> Iterator[Finding]:
    known = next((k for k in _KNOWN_PROMPTS if re.search(k.pattern, encoder.name.lower())), None)
    if known is None:
        return
    missing = [
        f"--{kind}-instruction {wanted!r}"
        for kind, wanted, own in (
            ("query", known.query, encoder.query_prompt),
            ("document", known.document, encoder.document_prompt),
        )
        if wanted and not own.strip()
    ]
    if missing:
        yield finding(
            "warning",
            "prompt-missing",
            f"{encoder.name} was trained with a prompt before its texts and has none here: results will be worse",
            to_do=f"pass {' '.join(missing)}",
        )


def _cut_texts(noun: str, texts: Mapping[str, str], encoder: EncoderFacts, prompt: str) -> Iterator[Finding]:
    ids = list(texts)[:: max(1, len(texts) // _MEASURED_TEXTS)]
    lengths = _lengths([texts[text_id] for text_id in ids], encoder, prompt)
    limit = encoder.max_length or 0
    cut = {text_id: length for text_id, length in zip(ids, lengths, strict=True) if length > limit}
    if not cut:
        return
    lost = sum(length - limit for length in cut.values()) / sum(lengths)
    sampled = f"of {counted(len(ids), 'one', noun)}"
    if len(ids) < len(texts):
        sampled += f" looked at (there are {len(texts):,})"
    longest = sorted(cut, key=lambda text_id: -cut[text_id])
    yield finding(
        "warning" if len(cut) >= _LOST_SHARE * len(ids) else "note",
        f"{noun}-over-limit",
        f"{len(cut):,} {sampled} ({len(cut) / len(ids):.1%}) are longer than the {limit:,} tokens that {encoder.name} "
        f"reads; {lost:.1%} of all text is cut off unread",
        cut,
        (f"{text_id!r} has {cut[text_id]:,} tokens: {snippet(texts[text_id])}" for text_id in longest),
        "cut the documents into chunks, or take an encoder that reads more" if noun == "documents" else "",
    )


def _lengths(texts: Sequence[str], encoder: EncoderFacts, prompt: str) -> list[int]:
    lengths: list[int] = []
    with progress.task("count tokens", total=len(texts)) as counting:
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = [prompt + text for text in texts[start : start + _TEXTS_AT_ONCE]]
            lengths += encoder.count_tokens(part)
            counting.advance(len(part))
    return lengths
