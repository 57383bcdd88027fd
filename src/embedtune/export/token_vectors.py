"""A model's vector of each token alone, its principal components, and how much each token weighs."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from embedtune import progress
from embedtune.export.source import ExportSource

__all__ = ["principal_parts", "token_vectors", "token_weights"]

_TOKENS_AT_ONCE = 512

Table = npt.NDArray[np.float32]


@torch.inference_mode()
def token_vectors(source: ExportSource) -> Table:
    """Returns (tokens, dim): the mean of what comes out for each token between the model's special tokens.

    Special tokens themselves have the vector 0, so they count nowhere.
    """
    tokenizer = source.model.tokenizer
    backbone = cast("Any", source.model[0]).model
    special = set(tokenizer.all_special_ids)
    ids = [number for number in range(len(tokenizer)) if number not in special]
    before, after = _special_tokens_around(tokenizer)
    vectors = np.zeros((len(tokenizer), backbone.config.hidden_size), dtype=np.float32)
    with progress.task("encode tokens", total=len(ids)) as encoding:
        for start in range(0, len(ids), _TOKENS_AT_ONCE):
            part = ids[start : start + _TOKENS_AT_ONCE]
            inputs = torch.tensor([[*before, number, *after] for number in part])
            tokens = backbone(input_ids=inputs, attention_mask=torch.ones_like(inputs)).last_hidden_state
            vectors[part] = tokens.mean(dim=1).float().numpy()
            encoding.advance(len(part))
    return vectors


def _special_tokens_around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Returns the ids that the tokenizer puts before and after a text."""
    encoded = tokenizer("a", return_special_tokens_mask=True)
    ids, own = encoded["input_ids"], [place for place, mark in enumerate(encoded["special_tokens_mask"]) if not mark]
    return (ids[: own[0]], ids[own[-1] + 1 :]) if own else ([], [])


def principal_parts(vectors: Table, dim: int) -> Table:
    """Returns (tokens, dim): the coordinates along the first principal components; 0 stays 0."""
    used = np.flatnonzero(vectors.any(axis=1))
    centred = vectors[used] - vectors[used].mean(axis=0)
    values, directions = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    first = directions[:, np.argsort(values)[::-1][:dim]]
    parts = np.zeros((len(vectors), first.shape[1]), dtype=np.float32)
    parts[used] = centred @ first
    return parts


def token_weights(tokenizer: Tokenizer, source: ExportSource, smoothing: float) -> Table:
    """Returns (tokens,): smoothing / (smoothing + the token's share of the documents)."""
    counts = np.ones(tokenizer.get_vocab_size(), dtype=np.float64)
    for encoding in tokenizer.encode_batch_fast(list(source.documents), add_special_tokens=False):
        np.add.at(counts, encoding.ids, 1)
    weights: Table = (smoothing / (smoothing + counts / counts.sum())).astype(np.float32)
    return weights
