"""How large a batch is, how much of it is in memory at a time, and what a step computes in."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import psutil
import torch
from sentence_transformers import SentenceTransformer

from embedtune.data.training_set import TrainingSet
from embedtune.errors import OptionsError
from embedtune.models.encoder import EncoderOptions
from embedtune.models.forward import count_tokens
from embedtune.models.sentence_transformer import choose_device, choose_precision
from embedtune.train.options import TrainOptions

__all__ = ["Sizes", "choose_sizes", "graph_bytes"]

_SAMPLED_TEXTS = 200
_BATCH_ON = {"cpu": 32, "mps": 32, "cuda": 128}
_FEWEST_STEPS = 10
_SMALLEST_BATCH = 8
_SHARE_OF_MEMORY = 0.5
_BYTES = {"float32": 4, "bfloat16": 3, "float16": 3}
"""Of a kept value: in half precision PyTorch keeps some in float32 nevertheless."""
_VALUES_PER_HIDDEN = 12
_VALUES_PER_INTERMEDIATE = 3
_LARGEST = 1024
_WHERE_UNKNOWN = 64


class Sizes(NamedTuple):
    """What was chosen, and from which lengths: tokens of the middle text and of the longest of twenty."""

    device: torch.device
    precision: str
    batch_size: int
    micro_batch_size: int
    tokens: int
    long_tokens: int

    def __str__(self) -> str:
        return (
            f"batch of {self.batch_size} queries, {self.micro_batch_size} texts in memory at a time, {self.precision} "
            f"on {self.device}; half of the texts have up to {self.tokens} tokens, 95 of 100 up to {self.long_tokens}"
        )


def choose_sizes(
    model: SentenceTransformer, training_set: TrainingSet, options: TrainOptions, encoder_options: EncoderOptions
) -> Sizes:
    """Returns the sizes asked for, and for those that weren't what the machine and the texts allow.

    Raises OptionsError for a precision that nothing can be trained in.
    """
    device = choose_device(encoder_options.device)
    precision = choose_precision(encoder_options.precision, device)
    if precision == "float16" and device.type != "cuda":
        raise OptionsError(
            "training in float16 needs a GPU", remedy="use --precision bfloat16, or leave --precision out"
        )
    lengths = _sampled_lengths(model, training_set, options.seed)
    tokens, long_tokens = lengths[len(lengths) // 2], lengths[int(0.95 * (len(lengths) - 1))]
    batch = options.batch_size or _batch_size(len(training_set.examples), device)
    micro = options.micro_batch_size or _micro_batch_size(model, long_tokens, precision, device, options)
    return Sizes(device, precision, batch, micro, tokens, long_tokens)


def graph_bytes(model: SentenceTransformer, sizes: Sizes, texts: int) -> int:
    """Returns about how many bytes the backward pass of a batch of so many texts takes at a time; 0 where unknown."""
    per_token = _values_per_token(model, recomputed=False) * _BYTES[sizes.precision]
    return per_token * sizes.long_tokens * min(texts, sizes.micro_batch_size)


def _batch_size(examples: int, device: torch.device) -> int:
    """Returns the machine's size, halved until an epoch has some steps."""
    size = _BATCH_ON.get(device.type, _BATCH_ON["cpu"])
    while size > _SMALLEST_BATCH and examples < size * _FEWEST_STEPS:
        size //= 2
    return size


def _sampled_lengths(model: SentenceTransformer, training_set: TrainingSet, seed: int) -> list[int]:
    """Returns the sorted lengths, after the cut, of some queries, positives and negatives of the training set."""
    examples = random.Random(seed).sample(
        list(training_set.examples), min(_SAMPLED_TEXTS // 2, len(training_set.examples))
    )
    dataset = training_set.dataset
    texts = [dataset.queries[example.query_id] for example in examples]
    for example in examples:
        texts += [dataset.corpus[document_id] for document_id in (example.positive_id, *example.negative_ids)]
    limit: int = model.max_seq_length or max(1, *map(len, texts))
    return sorted(min(length, limit) for length in count_tokens(model, texts[: 2 * _SAMPLED_TEXTS]))


def _micro_batch_size(
    model: SentenceTransformer, tokens: int, precision: str, device: torch.device, options: TrainOptions
) -> int:
    """Returns the largest power of two of texts whose graph fits into half of the free memory."""
    per_token = _values_per_token(model, options.gradient_checkpointing) * _BYTES[precision]
    if not per_token:
        return _WHERE_UNKNOWN
    texts = int(_SHARE_OF_MEMORY * _free_bytes(device) / (per_token * tokens))
    size = 1
    while 2 * size <= min(texts, _LARGEST):
        size *= 2
    return size


def _values_per_token(model: SentenceTransformer, recomputed: bool) -> int:
    """Returns how many values the backward pass needs of one token, about; 0 for an unknown architecture.

    Of each layer about twelve hidden vectors (its input, query, key, value, what attention gives,
    two sums and their normalised forms) and three of the feed-forward's width.
    """
    backbone = model.transformers_model
    config: Any = None if backbone is None else backbone.config
    layers, hidden = (getattr(config, name, 0) or 0 for name in ("num_hidden_layers", "hidden_size"))
    intermediate = getattr(config, "intermediate_size", None) or 4 * hidden
    layer: int = _VALUES_PER_HIDDEN * hidden + _VALUES_PER_INTERMEDIATE * intermediate
    return int(layers * hidden + layer if recomputed else layers * layer)


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
