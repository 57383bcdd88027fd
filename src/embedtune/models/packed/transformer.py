"""Puts the packed forward pass in the place of a sentence-transformers model's Transformer module."""

from __future__ import annotations

from typing import Any, cast

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Dropout, LayerNorm, Pooling
from torch import Tensor, nn

from embedtune.models.packed.bert import PackedBert, PackedPrecision, can_pack
from embedtune.models.packed.texts import pack

__all__ = ["PackedModel", "can_pack_model"]

_AFTER_POOLING = (Dense, Normalize, LayerNorm, Dropout)


def can_pack_model(model: SentenceTransformer, precision: str) -> bool:
    """Returns whether a PackedModel gives this model's vectors in that precision on a CPU."""
    modules = list(model)
    if len(modules) < 2 or type(modules[0]) is not Transformer or type(modules[1]) is not Pooling:
        return False
    rest = all(type(module) in _AFTER_POOLING for module in modules[2:])
    return rest and not modules[0].query_expansion and can_pack(modules[0].model, precision)


class PackedModel:
    """A sentence-transformers model whose texts go through BERT end to end, without padding.

    Pooling and what follows are the model's own modules, which take texts end to end since
    sentence-transformers 6. The model's weights may be let go afterwards.
    """

    def __init__(self, model: SentenceTransformer, precision: PackedPrecision, *, shareable: bool = False) -> None:
        transformer = cast("Transformer", model[0])
        self.bert = PackedBert(transformer.model, precision, shareable=shareable)
        self.pooling = cast("Pooling", model[1])
        self.after: list[nn.Module] = [module.to(torch.float32).eval() for module in list(model)[2:]]

    def __call__(self, ids: list[list[int]], prompt_length: int | None) -> Tensor:
        """Returns (texts, dim) float32 of token ids that are cut to the limit already."""
        texts = pack(ids)
        features: dict[str, Any] = {
            "token_embeddings": self.bert(texts).float().unsqueeze(0),
            "cu_seq_lens_q": texts.borders,
            "prompt_length": prompt_length,
        }
        if prompt_length is None:
            del features["prompt_length"]
        features = self.pooling(features)
        for module in self.after:
            features = module(features)
        return cast("Tensor", features["sentence_embedding"])
