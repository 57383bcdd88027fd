"""One hash for all of a model that decides its vectors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.base.modules import InputModule, Router, Transformer

__all__ = ["model_definition", "model_fingerprint"]

_VOLATILE_CONFIG = frozenset(
    {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "architectures", "_attn_implementation"}
)


def model_fingerprint(model: SentenceTransformer | CrossEncoder) -> str:
    """Returns a SHA-256 (hexadecimal) of weights, modules, pooling, tokenizer and architecture.

    Weights are hashed as float32, so a model has the same fingerprint before and after it is
    saved. Prompts, length limit and precision aren't in it: they are cache keys of their own.
    """
    digest = hashlib.sha256()
    for _, text in model_definition(model):
        digest.update(text.encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}:{tuple(tensor.shape)}".encode())
        plain = tensor.detach().to("cpu")
        plain = plain.to(torch.float32) if plain.is_floating_point() else plain
        digest.update(plain.contiguous().numpy().data)
    return digest.hexdigest()


def model_definition(model: SentenceTransformer | CrossEncoder) -> Iterator[tuple[str, str]]:
    """Yields what a model is besides its weights: the name of each part, and its definition as text."""
    for name, module in model.named_children():
        yield f"module {name}", f"{name}:{type(module).__name__}:{_stable_json(_module_config(module))}"
        for route, part in _routed(module):
            own = f"{name}.{route}"
            yield f"module {own}", f"{own}:{type(part).__name__}:{_stable_json(_module_config(part))}"
            if isinstance(part, Transformer):
                yield f"config of {own}", _stable_json(_without_volatile(part.auto_model.config.to_dict()))
            if isinstance(part, InputModule):
                yield f"tokenizer of {own}", _tokenizer_text(part.tokenizer)
    transformer = model.transformers_model
    if transformer is not None:
        yield "config", _stable_json(_without_volatile(transformer.config.to_dict()))
    yield "tokenizer", _tokenizer_text(model.tokenizer)


def _module_config(module: torch.nn.Module) -> dict[str, Any]:
    get_config = getattr(module, "get_config_dict", None)
    config: dict[str, Any] = get_config() if callable(get_config) else {}
    return {key: value for key, value in config.items() if key not in ("max_seq_length", "route_mappings")}


def _routed(module: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yields the modules of a Router by route and place; none for any other module."""
    if not isinstance(module, Router):
        return
    yield _stable_json({str(key): route for key, route in module.route_mappings.items()}), module
    for route, modules in module.sub_modules.items():
        for place, part in modules.named_children():
            yield f"{route}.{place}", part


def _without_volatile(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in _VOLATILE_CONFIG}


def _tokenizer_text(tokenizer: Any) -> str:
    """Returns the tokenizer's whole definition, with what a call may change left out."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    to_str = getattr(backend, "to_str", None)
    if not callable(to_str):
        vocabulary: dict[str, int] = getattr(tokenizer, "get_vocab", dict)()
        return _stable_json([type(tokenizer).__name__, vocabulary])
    definition = json.loads(to_str())
    for changed_by_calls in ("truncation", "padding"):
        definition.pop(changed_by_calls, None)
    return _stable_json(definition)


def _stable_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
