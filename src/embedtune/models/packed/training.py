"""The packed forward pass with gradients: a sentence-transformers model's own parameters, its texts end to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from embedtune.models.encoder import TextKind
from embedtune.models.length_batches import batches_by_length
from embedtune.models.packed.bert import padding_id_of, rows_of_positions
from embedtune.models.packed.gradients import attend, dropout
from embedtune.models.packed.texts import PackedTexts
from embedtune.models.packed.transformer import can_pack_model

__all__ = ["PackedTraining", "can_pack_training"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_TOKENS_PER_PASS = 4096
"""Activations of this many tokens stay under 32 MB a matrix, beyond which glibc maps fresh pages every time."""

Map = Callable[[Tensor], Tensor]


def can_pack_training(model: SentenceTransformer, precision: str) -> bool:
    """Returns whether PackedTraining computes what this model computes in training, in that precision on a CPU."""
    if precision not in _DTYPES or not can_pack_model(model, "float32"):  # weights stay that; autocast does the rest
        return False
    backbone = cast("Any", model[0]).model
    return type(backbone).__module__.startswith("transformers.models.")


class PackedTraining:
    """See TrainableForward. In bfloat16, as in autocast, the products are; weights, residuals and norms stay float32.

    Layers that aren't plain linear ones, such as LoRA's, are called instead of fused.
    """

    name = "packed"

    def __init__(self, model: SentenceTransformer, precision: str, prompts: Callable[[TextKind], str]) -> None:
        self.model = model
        self.dtype = _DTYPES[precision]
        self._prompts = prompts

    def tokenize(self, texts: list[str], kind: TextKind) -> dict[str, Any]:
        """Returns `input_ids` (tokens,), all texts end to end, and their `borders`."""
        features: dict[str, Any] = self.model.preprocess(texts, prompt=self._prompts(kind) or None, task=kind)
        mask = features["attention_mask"].bool()
        borders = functional.pad(mask.sum(dim=1).cumsum(dim=0), (1, 0))
        packed = {"input_ids": features["input_ids"][mask], "borders": borders}
        return packed | {name: features[name] for name in ("prompt_length",) if name in features}

    def lengths(self, batch: dict[str, Any]) -> Tensor:
        """Returns (texts,) int64: how many tokens each text has."""
        borders: Tensor = batch["borders"]
        return borders.diff()

    def embed(self, batch: dict[str, Any], positions: Tensor | None = None) -> Tensor:
        """Returns (texts, dim) float32 unit vectors with gradients."""
        ids, borders = batch["input_ids"], batch["borders"]
        wanted = torch.arange(len(borders) - 1) if positions is None else positions
        lengths = borders.diff()[wanted]
        parts, order = [], []
        with torch.autocast("cpu", enabled=False):
            bert = _Bert(cast("Any", self.model[0]).model, self.dtype)
            for places in batches_by_length(lengths.numpy(), _TOKENS_PER_PASS, padded=False):
                texts = _gather(ids, borders, wanted[places])
                parts.append(self._vectors(bert(texts), texts, batch))
                order += places
        return functional.normalize(torch.cat(parts), dim=1)[torch.argsort(torch.tensor(order))]

    def _vectors(self, hidden: Tensor, texts: PackedTexts, batch: dict[str, Any]) -> Tensor:
        features: dict[str, Any] = {"token_embeddings": hidden.float().unsqueeze(0), "cu_seq_lens_q": texts.borders}
        if "prompt_length" in batch:
            features["prompt_length"] = batch["prompt_length"]
        for module in list(self.model)[1:]:
            features = module(features)
        return cast("Tensor", features["sentence_embedding"])


def _gather(ids: Tensor, borders: Tensor, positions: Tensor) -> PackedTexts:
    """Returns these texts end to end, in this order."""
    bounds = borders.tolist()
    pieces = [ids[bounds[position] : bounds[position + 1]] for position in positions.tolist()]
    lengths = torch.tensor([len(piece) for piece in pieces])
    return PackedTexts(torch.cat(pieces), functional.pad(lengths.cumsum(dim=0), (1, 0)))


class _Bert:
    """The layers of a transformers model, their weights cast for one pass."""

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        self.embeddings = model.embeddings
        self.dtype = dtype
        self.padding_id = padding_id_of(model.config)
        self.heads: int = model.config.num_attention_heads
        self.layers = [_Layer(layer, dtype, self.heads) for layer in model.encoder.layer]

    def __call__(self, texts: PackedTexts) -> Tensor:
        """Returns the last hidden state of every token, (tokens, width)."""
        table = self.embeddings
        places = table.position_embeddings(rows_of_positions(texts, self.padding_id))
        x = table.word_embeddings(texts.ids) + table.token_type_embeddings.weight[0] + places
        x = _drop(table.LayerNorm(x), table.dropout)
        for layer in self.layers:
            x = layer(x, texts)
        return x


class _Layer:
    def __init__(self, layer: Any, dtype: torch.dtype, heads: int) -> None:
        attention, out = layer.attention.self, layer.attention.output
        self.heads, self.dtype = heads, dtype
        self.qkv = _fused([attention.query, attention.key, attention.value], dtype)
        self.out, self.up, self.down = (
            _linear(part, dtype) for part in (out.dense, layer.intermediate.dense, layer.output.dense)
        )
        self.attention_dropout, self.out_dropout, self.down_dropout = (
            attention.dropout,
            out.dropout,
            layer.output.dropout,
        )
        self.attention_norm, self.output_norm = out.LayerNorm, layer.output.LayerNorm
        self.checkpointed = layer.gradient_checkpointing and layer.training

    def __call__(self, x: Tensor, texts: PackedTexts) -> Tensor:
        """Returns the layer's output; with gradient checkpointing its inside is computed again going backwards."""
        if self.checkpointed:
            return cast("Tensor", checkpoint(self._forward, x, texts, use_reentrant=False))
        return self._forward(x, texts)

    def _forward(self, x: Tensor, texts: PackedTexts) -> Tensor:
        mixed = attend(self.qkv(x.to(self.dtype)), texts, self.heads, _share(self.attention_dropout))
        x = self.attention_norm(_drop(self.out(mixed), self.out_dropout) + x)
        grown = self.down(functional.gelu(self.up(x.to(self.dtype))))
        return cast("Tensor", self.output_norm(_drop(grown, self.down_dropout) + x))


def _linear(layer: nn.Module, dtype: torch.dtype) -> Map:
    """Returns the layer as a map in that precision; one that isn't plain, such as LoRA's, is called."""
    if type(layer) is nn.Linear:
        return _affine(layer.weight.to(dtype), layer.bias.to(dtype))
    return _called(layer, dtype)


def _fused(layers: list[nn.Module], dtype: torch.dtype) -> Map:
    """Returns one map whose columns are those of all layers."""
    plain = [layer for layer in layers if type(layer) is nn.Linear]
    if len(plain) == len(layers):
        weight, bias = (torch.cat([getattr(layer, name) for layer in plain]) for name in ("weight", "bias"))
        return _affine(weight.to(dtype), bias.to(dtype))
    maps = [_linear(layer, dtype) for layer in layers]
    return lambda x: torch.cat([one(x) for one in maps], dim=1)


def _affine(weight: Tensor, bias: Tensor) -> Map:
    return lambda x: functional.linear(x, weight, bias)


def _called(layer: nn.Module, dtype: torch.dtype) -> Map:
    def call(x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            return cast("Tensor", layer(x))

    return call


def _share(layer: nn.Dropout) -> float:
    return layer.p if layer.training else 0.0


def _drop(x: Tensor, layer: nn.Dropout) -> Tensor:
    return dropout(x, _share(layer))
