"""How long a text is for an encoder: its own tokenizer and its own limit, without loading its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from embedtune.data.chunking import CountTokens
from embedtune.data.hub import hub_model
from embedtune.errors import DataError
from embedtune.packaged import MINILM, minilm_folder

__all__ = ["TokenCounter", "character_counter", "encoder_counter"]

_FILES = ("*.json", "*/*.json", "vocab.txt")
_NO_LIMIT = 1_000_000
"""Some tokenizers give a huge number where they have no limit of their own."""


class TokenCounter(NamedTuple):
    """Counts tokens; `max_tokens` of them fit beside special tokens and the document prompt."""

    count_tokens: CountTokens
    max_tokens: int | None
    unit: str


def character_counter() -> TokenCounter:
    """Returns a counter for which every character is a token."""
    return TokenCounter(lambda texts: [len(text) for text in texts], None, "characters")


def encoder_counter(encoder: str, revision: str | None = None) -> TokenCounter:
    """Returns the counter of minilm, of a model folder, or of a model on the Hub.

    Raises DataError where there is no tokenizer.json or no limit.
    """
    folder = minilm_folder() if encoder == MINILM else hub_model(encoder, revision, _FILES).folder
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise DataError(
            f"the encoder {encoder!r} has no tokenizer.json",
            where=str(folder),
            remedy="give a model folder that has one; transformers' AutoTokenizer.save_pretrained writes it",
        )
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts: list[str]) -> list[int]:
        return [len(encoding) for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    (prompt,) = count([_document_prompt(folder)])
    reserved = tokenizer.num_special_tokens_to_add(False) + prompt
    return TokenCounter(count, _limit(folder, encoder) - reserved, "tokens")


def _limit(folder: Path, encoder: str) -> int:
    """Returns the longest text in tokens, special tokens included."""
    settings = [
        _setting(folder / "sentence_bert_config.json", "max_seq_length"),
        _setting(folder / "0_Transformer" / "sentence_bert_config.json", "max_seq_length"),
        _setting(folder / "tokenizer_config.json", "model_max_length"),
        _setting(folder / "config.json", "max_position_embeddings"),
    ]
    for limit in settings:
        if isinstance(limit, int | float) and 0 < limit < _NO_LIMIT:
            return int(limit)
    raise DataError(f"the encoder {encoder!r} names no limit", where=str(folder), remedy="give one with --max-length")


def _document_prompt(folder: Path) -> str:
    prompts = _setting(folder / "config_sentence_transformers.json", "prompts") or {}
    default = _setting(folder / "config_sentence_transformers.json", "default_prompt_name")
    for name in ("document", "passage", "corpus", default):
        if prompts.get(name):
            return str(prompts[name])
    return ""


def _setting(path: Path, name: str) -> Any:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8")).get(name)
    except (ValueError, AttributeError) as error:
        raise DataError(f"broken JSON: {error}", where=str(path)) from None
