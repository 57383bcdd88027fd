"""A base and tuned models, loaded and compared once, that can be mixed at any weight."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from sentence_transformers import SentenceTransformer

from embedtune.errors import EncoderError, OptionsError
from embedtune.merge.agreement import refuse_different
from embedtune.models.encoder import Encoder, EncoderOptions, encoder_of
from embedtune.models.fingerprint import model_fingerprint
from embedtune.models.moved_documents import has_moved_documents
from embedtune.models.sentence_transformer import apply_options, load_model
from embedtune.models.tuned_encoder import TunedEncoder
from embedtune.models.vector_map import VectorMap, take_query_map

__all__ = ["Mixture", "load_mixture"]

_SUM = 1e-9


class Mixture(Protocol):
    """What stands between a base and the models tuned from it."""

    def model(self, weights: Sequence[float]) -> SentenceTransformer:
        """Returns a new model in which each tuned one counts its weight, and the base the rest of 1."""

    def encoder(self, weights: Sequence[float]) -> Encoder:
        """Returns an encoder of that model, without a file in between."""


def load_mixture(base: str, tuned: Sequence[str], options: EncoderOptions) -> Mixture:
    """Returns the mixture of these models.

    Raises EncoderError where more than weights differ, for moved documents, and for query-side
    maps of another base or more than one.
    """
    if not tuned:
        raise OptionsError("no tuned model is given", remedy="name at least one with --tuned")
    for name in (base, *tuned):
        if has_moved_documents(name):
            raise EncoderError(
                f"{name} holds documents moved by NUDGE, whose model is the base as it was, so there is nothing to mix",
                remedy="use it as it is: other documents stay where they were; embedtune gate shows it",
            )
    first = _load(base, options)
    others = [_load(name, options) for name in tuned]
    maps = [take_query_map(model) for model in others]
    if take_query_map(first) is not None:
        raise EncoderError(
            f"the base {base} has a query-side map itself", remedy="name as --base the model that it was made from"
        )
    for name, model in zip(tuned, others, strict=True):
        refuse_different(first, model, base, name)
    if not any(maps):
        return _Weights(first, others, options)
    query_map = maps[0]
    if query_map is None or len(maps) > 1:
        raise EncoderError(
            f"{len(maps) - maps.count(None)} of the {len(maps)} tuned models have a query-side map",
            where=", ".join(tuned),
            remedy="an adapter is merged alone, with the base that it was trained on",
        )
    if model_fingerprint(first) != model_fingerprint(others[0]):
        raise EncoderError(
            f"the adapter {tuned[0]} was trained on other weights than those of {base}",
            remedy="name as --base the model that it was trained from",
        )
    return _Map(first, query_map, options)


def _load(name: str, options: EncoderOptions) -> SentenceTransformer:
    model = load_model(name, options)
    apply_options(model, options)
    return model


@dataclass(frozen=True)
class _Weights:
    """Weights of the same architecture, interpolated.

    Wortsman et al. 2021 (https://arxiv.org/abs/2109.01903) for one tuned model, Xiao et al. 2023
    (https://arxiv.org/abs/2311.13534) for several and for embeddings.
    """

    base: SentenceTransformer
    tuned: Sequence[SentenceTransformer]
    options: EncoderOptions

    def model(self, weights: Sequence[float]) -> SentenceTransformer:
        """Returns the sum in float64, rounded once; a weight of 1 gives that model's own numbers."""
        parts = [self.base.state_dict(), *(model.state_dict() for model in self.tuned)]
        shares = shares_of(weights, len(self.tuned))
        mixed = copy.deepcopy(self.base)
        mixed.load_state_dict({name: _mix([part[name] for part in parts], shares) for name in parts[0]})
        return mixed

    def encoder(self, weights: Sequence[float]) -> Encoder:
        """Returns an encoder with the mixed weights."""
        return encoder_of(self.model(weights), self.options)


@dataclass(frozen=True)
class _Map:
    """A query-side map drawn towards the identity; the base's vectors stay, so nothing is encoded again."""

    base: SentenceTransformer
    query_map: VectorMap
    options: EncoderOptions

    def model(self, weights: Sequence[float]) -> SentenceTransformer:
        """Returns the base with its share of the map on the query route, without a map at weight 0."""
        _, share = shares_of(weights, 1)
        model = copy.deepcopy(self.base)
        if share:
            self.query_map.towards_identity(share).attach(model)
        return model

    def encoder(self, weights: Sequence[float]) -> Encoder:
        """Returns the base's encoder with its share of the map."""
        _, share = shares_of(weights, 1)
        base = encoder_of(copy.deepcopy(self.base), self.options)
        return TunedEncoder(base, self.query_map.towards_identity(share), None) if share else base


def shares_of(weights: Sequence[float], count: int) -> list[float]:
    """Returns the base's share and then the weights; raises OptionsError where they are no shares of 1."""
    rest = 1.0 - sum(weights)
    if len(weights) != count or any(not 0 <= weight <= 1 for weight in weights) or rest < -_SUM:
        raise OptionsError(
            f"found the weights {list(weights)} for {count} tuned models",
            remedy="give one --weight for each --tuned, each from 0 to 1 and together at most 1; the base has the rest",
        )
    return [rest if rest > _SUM else 0.0, *weights]


def _mix(tensors: Sequence[torch.Tensor], shares: Sequence[float]) -> torch.Tensor:
    first = tensors[0]
    if not first.is_floating_point():
        return first
    total = torch.zeros_like(first, dtype=torch.float64)
    for tensor, share in zip(tensors, shares, strict=True):
        if share:
            total += share * tensor.double()
    return total.to(first.dtype)
