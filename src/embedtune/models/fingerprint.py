"""One hash for all of a model that decides its vectors."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer

__all__ = ["model_fingerprint"]

_VOLATILE_CONFIG = frozenset(
    {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "architectures", "_attn_implementation"}
)


def model_fingerprint(model: SentenceTransformer | CrossEncoder) -> str:
    """Returns a SHA-256 (hexadecimal) of weights, modules, pooling, tokenizer and architecture.

    Weights are hashed as float32, so a model has the same fingerprint before and after it is
    saved. Prompts, length limit and precision aren't in it: they are cache keys of their own.
    """
    digest = hashlib.sha256()
    for name, module in model.named_children():
        digest.update(f"{name}:{type(module).__name__}:{_stable_json(_module_config(module))}".encode())
    transformer = model.transformers_model
    if transformer is not None:
        digest.update(_stable_json(_without_volatile(transformer.config.to_dict())).encode())
    digest.update(_tokenizer_text(model.tokenizer).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}:{tuple(tensor.shape)}".encode())
        plain = tensor.detach().to("cpu")
        plain = plain.to(torch.float32) if plain.is_floating_point() else plain
        digest.update(plain.contiguous().numpy().data)
    return digest.hexdigest()


def _module_config(module: torch.nn.Module) -> dict[str, Any]:
    get_config = getattr(module, "get_config_dict", None)
    config: dict[str, Any] = get_config() if callable(get_config) else {}
    return {key: value for key, value in config.items() if key != "max_seq_length"}


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
