"""How a batch of texts becomes vectors: end to end without padding, or as sentence-transformers does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from embedtune import progress
from embedtune.errors import EncoderError
from embedtune.models.encoder import TextKind
from embedtune.models.packed.bert import PackedPrecision
from embedtune.models.packed.transformer import PackedModel

__all__ = [
    "Forward",
    "PackedForward",
    "PaddedForward",
    "TokenizedTexts",
    "count_tokens",
    "is_out_of_memory",
    "on_device",
    "with_halving",
]

_CHARACTERS_PER_TOKEN = 4
_PACKED_TOKENS = 2048
"""Tokens of one packed batch; from 1,024 on more are no faster."""


class TokenizedTexts(NamedTuple):
    """Texts ready to encode: how many tokens each has after the cut, and what encodes those at some positions."""

    lengths: npt.NDArray[np.int64]
    vectors_of: Callable[[list[int]], Tensor]


class Forward(Protocol):
    """A model's forward pass on one device."""

    name: str
    padded: bool
    workers: int

    def tokens_per_batch(self, wanted: int) -> int:
        """Returns how many tokens a batch should have where the options ask for `wanted`."""

    def tokenize(self, texts: list[str], kind: TextKind, prompt: str) -> TokenizedTexts:
        """Returns the texts ready to encode."""


class PaddedForward:
    """sentence-transformers' own forward pass, on any device and for any architecture."""

    name = "sentence-transformers"
    padded = True
    workers = 1

    def __init__(self, model: SentenceTransformer, device: torch.device, dtype: torch.dtype) -> None:
        self.model = model.to(device=device, dtype=dtype).eval()
        self.device = device

    def tokens_per_batch(self, wanted: int) -> int:
        """Returns what is wanted."""
        return wanted

    def tokenize(self, texts: list[str], kind: TextKind, prompt: str) -> TokenizedTexts:
        """Returns the texts' lengths; each batch is tokenized again with its padding."""
        counts = np.asarray(count_tokens(self.model, [prompt + text for text in texts]), dtype=np.int64)
        lengths = np.minimum(counts, self.model.max_seq_length or counts.max(initial=0))
        return TokenizedTexts(lengths, lambda positions: self._forward([texts[i] for i in positions], kind, prompt))

    def _forward(self, texts: list[str], kind: TextKind, prompt: str) -> Tensor:
        features = on_device(self.model.preprocess(texts, prompt=prompt or None, task=kind), self.device)
        vectors: Tensor = self.model(features, task=kind)["sentence_embedding"].float()
        return vectors


class PackedForward:
    """The packed forward pass on a CPU, one worker for each thread that PyTorch may use."""

    name = "packed"
    padded = False

    def __init__(self, model: SentenceTransformer, precision: PackedPrecision, *, shareable: bool = False) -> None:
        self.workers = torch.get_num_threads()
        self.model = model
        self.packed = PackedModel(model, precision, shareable=shareable)
        self._prompt_lengths: dict[tuple[str, TextKind], int | None] = {}

    def tokens_per_batch(self, wanted: int) -> int:
        """Returns a batch's share of what all workers may hold."""
        return max(1, min(_PACKED_TOKENS, wanted // self.workers))

    def tokenize(self, texts: list[str], kind: TextKind, prompt: str) -> TokenizedTexts:
        """Returns the texts tokenized once and cut to the limit."""
        limit = min(self.model.max_seq_length or self.packed.bert.most_tokens, self.packed.bert.most_tokens)
        ids: list[list[int]] = self.model.tokenizer(
            [prompt + text for text in texts],
            padding=False,
            truncation=True,
            max_length=limit,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        prompt_length = self._prompt_length(kind, prompt)
        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        return TokenizedTexts(lengths, lambda positions: self.packed([ids[i] for i in positions], prompt_length))

    def _prompt_length(self, kind: TextKind, prompt: str) -> int | None:
        """Returns how many tokens of each text are its prompt, as sentence-transformers counts them."""
        if (prompt, kind) not in self._prompt_lengths:
            features: dict[str, Any] = self.model.preprocess([""], prompt=prompt or None, task=kind)
            self._prompt_lengths[prompt, kind] = features.get("prompt_length")
        return self._prompt_lengths[prompt, kind]


def with_halving(vectors_of: Callable[[list[int]], Tensor]) -> Callable[[list[int]], Tensor]:
    """Returns the same function, which encodes a batch that doesn't fit into memory in halves, and says so."""
    said: list[bool] = []

    def encode(positions: list[int]) -> Tensor:
        try:
            return vectors_of(positions)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if len(positions) == 1:
                raise EncoderError(
                    f"there isn't enough memory to encode one text: {str(error).splitlines()[0]}",
                    remedy="set a lower --max-length, or free some memory",
                ) from error
            if not said:
                said.append(True)
                progress.say(f"a batch of {len(positions)} texts doesn't fit into memory; encoding it in halves")
        torch.cuda.empty_cache()
        middle = len(positions) // 2
        return torch.cat([encode(positions[:middle]), encode(positions[middle:])])

    return encode


def count_tokens(model: SentenceTransformer, texts: list[str]) -> list[int]:
    """Returns each text's length in tokens before any cut, special tokens included.

    Where the tokenizer isn't one of transformers', an estimate from the characters.
    """
    tokenizer = model.tokenizer
    if not hasattr(tokenizer, "backend_tokenizer") or not texts:
        return [len(text) // _CHARACTERS_PER_TOKEN + 1 for text in texts]
    encoded = tokenizer(texts, padding=False, truncation=False, return_attention_mask=False, verbose=False)
    return [len(ids) for ids in encoded["input_ids"]]


def on_device(features: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """Returns what a model's preprocess gives, its tensors on that device."""
    return {name: value.to(device) if isinstance(value, Tensor) else value for name, value in features.items()}


def is_out_of_memory(error: Exception) -> bool:
    """Returns whether an error is Python's, CUDA's or the CPU allocator's word for no memory."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(sign in str(error).lower() for sign in ("can't allocate memory", "out of memory", "not enough memory"))
