"""LoRA: additions put into the linear layers, trained, merged and kept beside for peft."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from torch import nn

from embedtune.errors import EncoderError
from embedtune.models.tuned import TunedModel
from embedtune.train.job import TrainingJob
from embedtune.train.methods.lora import LoraOptions
from embedtune.train.trainer import load_trainable, train_weights

__all__ = ["train_lora"]

_UNUSED = "pooler"
_ADAPTER = "default"


def train_lora(job: TrainingJob, options: LoraOptions) -> TunedModel:
    """Trains additions to the attention and feed-forward layers; the folder holds them merged, like any model.

    Beside the merged weights `adapter/` keeps the additions alone, as peft loads them.
    """
    model = load_trainable(job)
    _add_lora(model, options)
    trained = train_weights(model, job, options, as_plain=_merged)
    adapter = functools.partial(_write_adapter, trained.as_trained, job.encoder)
    return trained.save(job, "lora", options, beside=adapter)


def _add_lora(model: SentenceTransformer, options: LoraOptions) -> None:
    """Freezes the model and adds trainable low-rank layers, zero at the start, to its linear ones."""
    backbone = model.transformers_model
    names = [] if backbone is None else [n for n, m in backbone.named_modules() if _is_wanted(n, m)]
    if not names:
        raise EncoderError(
            "the model has no linear layers inside a transformer, which LoRA adds to",
            remedy="use --method full or adapter",
        )
    model.requires_grad_(False)
    config = LoraConfig(
        r=options.rank, lora_alpha=options.alpha, lora_dropout=options.lora_dropout, target_modules=names
    )
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        inject_adapter_in_model(config, backbone)


def _write_adapter(model: SentenceTransformer, base: str, folder: Path) -> None:
    """Writes the additions and their configuration in peft's layout, for the backbone of `base`."""
    backbone: Any = model.transformers_model
    config = copy.copy(backbone.peft_config[_ADAPTER])
    config.base_model_name_or_path = base
    config.inference_mode = True
    (folder / "adapter").mkdir()
    config.save_pretrained(str(folder / "adapter"))
    state = get_peft_model_state_dict(backbone, adapter_name=_ADAPTER)
    tensors = {f"base_model.model.{name}": value.detach().cpu().contiguous() for name, value in state.items()}
    save_file(tensors, folder / "adapter" / "adapter_model.safetensors", metadata={"format": "pt"})


def _is_wanted(name: str, module: nn.Module) -> bool:
    """Returns whether the layer takes part in a text's vector: BERT's pooler doesn't."""
    return isinstance(module, nn.Linear) and _UNUSED not in name.split(".")


def _merged(model: SentenceTransformer) -> SentenceTransformer:
    """Returns a copy whose linear layers hold the sums, so that it is a plain model."""
    plain = copy.deepcopy(model)
    for name, layer in list(plain.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
            plain.set_submodule(name, layer.get_base_layer())
    return plain.requires_grad_(True)
