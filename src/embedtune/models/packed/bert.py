"""BERT, RoBERTa and XLM-R over packed texts, their weights laid out once for this CPU."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from embedtune.models.packed.int8 import Int8Layer, Quantised, int8_layers
from embedtune.models.packed.kernels import compiled_kernels
from embedtune.models.packed.layers import Affine, Attention, FloatLayer, LayerWeights, Norm, cast_norm, layer_norm
from embedtune.models.packed.texts import PackedTexts

__all__ = [
    "PackedBert",
    "PackedPrecision",
    "can_pack",
    "onednn_takes_bfloat16",
    "padding_id_of",
    "rows_of_positions",
]

PackedPrecision = Literal["float32", "bfloat16", "int8"]
_POSITIONS_FROM_0 = frozenset({"bert"})
_POSITIONS_AFTER_PADDING = frozenset({"roberta", "xlm-roberta", "camembert"})
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.bfloat16}


def can_pack(model: nn.Module, precision: str) -> bool:
    """Returns whether PackedBert computes what this transformers model computes, in that precision."""
    config: Any = getattr(model, "config", None)
    if getattr(config, "model_type", None) not in _POSITIONS_FROM_0 | _POSITIONS_AFTER_PADDING:
        return False
    if precision not in _DTYPES or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if precision == "bfloat16" and not onednn_takes_bfloat16():
        return False
    plain = not (config.is_decoder or config.add_cross_attention) and config.hidden_act == "gelu"
    if precision == "int8":
        kernels, head_size = compiled_kernels(), config.hidden_size // config.num_attention_heads
        widths = (config.hidden_size, config.intermediate_size)
        plain &= kernels is not None and kernels.can_attend(head_size) and kernels.can_quantise(*widths)
    return plain and type(model).__name__.endswith("Model")


def onednn_takes_bfloat16() -> bool:
    """Returns whether oneDNN lays out bfloat16 weights on this CPU; without AVX-512 it raises instead."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class PackedBert:
    """The forward pass of a transformers model that can_pack; its weights are copied.

    A shareable one is made of plain tensors, which torch.multiprocessing hands to other processes
    without copying them.
    """

    def __init__(self, model: Any, precision: PackedPrecision, *, shareable: bool = False) -> None:
        config, embeddings = model.config, model.embeddings
        self.dtype = _DTYPES[precision]
        self.width: int = config.hidden_size
        self._padding_id = padding_id_of(config)
        self._words = embeddings.word_embeddings.weight.detach().to(self.dtype)
        places = embeddings.position_embeddings.weight + embeddings.token_type_embeddings.weight[0]
        self._places = places.detach().to(self.dtype)
        norm = _norm(embeddings.LayerNorm)
        self._norm = cast_norm(norm, self.dtype)
        head_size = self.width // config.num_attention_heads
        self._attend = Attention(config.num_attention_heads, head_size, self.dtype)
        layers = [_layer(layer, head_size) for layer in model.encoder.layer]
        first_place = 0 if self._padding_id is None else self._padding_id + 1
        self.most_tokens: int = len(self._places) - first_place
        self._layers: list[FloatLayer] | list[Int8Layer]
        if precision == "int8":
            self._layers = int8_layers(norm, layers)
        else:
            self._layers = [FloatLayer(layer, self.dtype, shareable=shareable) for layer in layers]

    def __call__(self, texts: PackedTexts) -> Tensor:
        """Returns the last hidden state of every token, (tokens, width)."""
        places = functional.embedding(rows_of_positions(texts, self._padding_id), self._places)
        x: Tensor | Quantised = layer_norm(functional.embedding(texts.ids, self._words).add_(places), self._norm)
        for layer in self._layers:
            x = layer(x, texts, self._attend)  # type: ignore[arg-type]
        return x.value if isinstance(x, Quantised) else x


def rows_of_positions(texts: PackedTexts, padding_id: int | None) -> Tensor:
    """Returns the rows of the position table; RoBERTa's start after the padding id and pass over it."""
    if padding_id is None:
        return texts.places()
    real = texts.ids != padding_id
    before = torch.cumsum(real, dim=0) - real.long()
    first = before[texts.borders[:-1].clamp(max=len(before) - 1)]
    own = before - torch.repeat_interleave(first, texts.lengths, output_size=len(texts.ids)) + 1
    positions: Tensor = own * real + padding_id
    return positions


def padding_id_of(config: Any) -> int | None:
    """Returns the token id that RoBERTa's positions count from; None where they count from 0."""
    padding_id: int | None = config.pad_token_id if config.model_type in _POSITIONS_AFTER_PADDING else None
    return padding_id


def _layer(layer: Any, head_size: int) -> LayerWeights:
    attention = layer.attention.self
    parts = [_affine(part) for part in (attention.query, attention.key, attention.value)]
    parts[0] = Affine(parts[0].weight * head_size**-0.5, parts[0].bias * head_size**-0.5)
    qkv = Affine(torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts]))
    return LayerWeights(
        qkv,
        _affine(layer.attention.output.dense),
        _norm(layer.attention.output.LayerNorm),
        _affine(layer.intermediate.dense),
        _affine(layer.output.dense),
        _norm(layer.output.LayerNorm),
    )


def _affine(linear: nn.Linear) -> Affine:
    return Affine(linear.weight.detach().float(), linear.bias.detach().float())


def _norm(norm: nn.LayerNorm) -> Norm:
    return Norm(norm.weight.detach().float().contiguous(), norm.bias.detach().float().contiguous(), norm.eps)
