"""How many tokens a text is for a language model: counted, or estimated from its characters."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tokenizers import Tokenizer

from embedtune.data.hub import hub_model
from embedtune.errors import DataError
from embedtune.language.chat import Message

__all__ = ["TOKENS_AROUND_A_MESSAGE", "TextCounter", "estimated_tokens", "message_tokens", "text_counter"]

TextCounter = Callable[[str], int]

TOKENS_AROUND_A_MESSAGE = 4
"""Role and markers that chat templates put around each message (3 to 5 in the common ones)."""

_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_WORD = re.compile("[A-Za-z]+")
_DIGIT = re.compile(r"\d")
_MARK = re.compile(r"[^\w\s]")
_NEWLINE = re.compile(r"\n")
_LONG_WORD = 6
_TOKENS_PER_HAN = 0.79
_TOKENS_PER_WORD = 0.955
_TOKENS_PER_LONG_LETTER = 0.2
_TOKENS_PER_DIGIT = 0.9
_TOKENS_PER_MARK = 0.61
_TOKENS_PER_NEWLINE = 0.7
_TOKENS_PER_OTHER_LETTER = 0.8
"""Fitted to the tokenizers of GPT-4o (o200k) and Qwen on real English and Chinese; docs/synthesis.md has the errors."""


def estimated_tokens(text: str) -> int:
    """Returns about how many tokens a text is for current models."""
    words = _WORD.findall(text)
    letters = sum(map(len, words))
    han, digits, marks = (len(kind.findall(text)) for kind in (_HAN, _DIGIT, _MARK))
    others = sum(not character.isspace() for character in text) - letters - han - digits - marks
    estimate = (
        _TOKENS_PER_HAN * han
        + _TOKENS_PER_WORD * len(words)
        + _TOKENS_PER_LONG_LETTER * sum(max(0, len(word) - _LONG_WORD) for word in words)
        + _TOKENS_PER_DIGIT * digits
        + _TOKENS_PER_MARK * marks
        + _TOKENS_PER_NEWLINE * len(_NEWLINE.findall(text))
        + _TOKENS_PER_OTHER_LETTER * max(0, others)
    )
    return round(estimate)


def text_counter(tokenizer: str | None) -> TextCounter:
    """Returns a counter that uses a tokenizer.json, a folder with one or a model on the Hub; None: the estimate.

    Raises DataError where there is no such tokenizer.
    """
    if tokenizer is None:
        return estimated_tokens
    place = Path(tokenizer)
    if not place.exists():
        place = hub_model(tokenizer, None, ("tokenizer.json",)).folder
    path = place / "tokenizer.json" if place.is_dir() else place
    try:
        loaded = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001  # the Rust side raises plain Exception
        raise DataError(
            f"no tokenizer can be read: {error}", where=str(path), remedy="give a tokenizer.json or a folder with one"
        ) from None
    loaded.no_truncation()
    loaded.no_padding()
    return lambda text: len(loaded.encode(text, add_special_tokens=False))


def message_tokens(messages: list[Message], count: TextCounter) -> int:
    """Returns how many tokens messages are, with what a chat template puts around them."""
    return sum(count(message["content"]) + TOKENS_AROUND_A_MESSAGE for message in messages)
