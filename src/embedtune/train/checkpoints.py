"""What a killed training goes on from: a hidden folder beside the one that is to come out."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from embedtune import processes
from embedtune.artifact import Artifact
from embedtune.errors import StorageError

__all__ = ["Snapshot", "WorkFolder", "key_of", "pack_optimizer", "trainable_weights", "unpack_optimizer"]

_KIND = "training-checkpoint"
_TENSORS = "tensors.safetensors"
_STATE = "state.json"
_KEY_LENGTH = 16


@dataclass
class Snapshot:
    """A training after some step. Random numbers aren't in it: each step seeds its own.

    `log` holds the lines of training.jsonl, `checkpoints` every validation, `best` the weights of
    the best one where those aren't `weights`; see trainer.py for the rest.
    """

    step: int
    weights: dict[str, Tensor]
    best: dict[str, Tensor]
    optimizer: dict[str, Any]
    scheduler: dict[str, Any]
    scaler: dict[str, Any]
    micro_batch_size: int
    seconds: float
    log: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)


class WorkFolder:
    """The checkpoints of one training; its name has the key of all that changes the result.

    Of several processes only the writer changes anything in it.
    """

    def __init__(self, out: Path, key: str) -> None:
        self.out = out
        self.folder = out.parent / f".{out.name}.{key[:_KEY_LENGTH]}.training"

    def latest(self) -> Snapshot | None:
        """Returns the newest whole checkpoint, or None."""
        for folder in sorted(self.folder.glob("step-*"), reverse=True):
            with contextlib.suppress(StorageError):
                return _read(Artifact.open(folder, _KIND).folder)
        return None

    def save(self, snapshot: Snapshot) -> None:
        """Writes a checkpoint whole, then removes those before it."""
        older = list(self.folder.glob("step-*"))
        place = self.folder / f"step-{snapshot.step:09d}"
        with Artifact.create(place, _KIND, {"step": snapshot.step}, overwrite=True) as temporary:
            _write(snapshot, temporary)
        for folder in older:
            if folder != place:
                shutil.rmtree(folder, ignore_errors=True)

    def remove_if_empty(self) -> None:
        """Removes the folder where a training ended before its first checkpoint."""
        if processes.is_writer() and not any(self.folder.glob("step-*")):
            shutil.rmtree(self.folder, ignore_errors=True)

    def remove(self) -> None:
        """Removes the checkpoints of every training that was to become the same folder."""
        if not processes.is_writer():
            return
        for folder in self.out.parent.glob(f".{self.out.name}.{'?' * _KEY_LENGTH}.training"):
            shutil.rmtree(folder, ignore_errors=True)


def key_of(parts: Mapping[str, Any]) -> str:
    """Returns a SHA-256 (hexadecimal) of JSON values."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def pack_optimizer(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns an optimizer's state as tensors by name and as JSON values."""
    tensors = {
        f"optimizer.{number}.{name}": value
        for number, values in state["state"].items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }
    plain = {
        str(number): {name: value for name, value in values.items() if not isinstance(value, Tensor)}
        for number, values in state["state"].items()
    }
    return tensors, {"plain": plain, "param_groups": state["param_groups"]}


def unpack_optimizer(tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the state that pack_optimizer took apart."""
    state: dict[int, dict[str, Any]] = {int(number): dict(values) for number, values in rest["plain"].items()}
    for name, tensor in tensors.items():
        _, number, field_name = name.split(".", 2)
        state[int(number)][field_name] = tensor
    return {"state": state, "param_groups": rest["param_groups"]}


def _write(snapshot: Snapshot, folder: Path) -> None:
    tensors, optimizer = pack_optimizer(snapshot.optimizer)
    tensors |= {f"weights.{name}": value for name, value in snapshot.weights.items()}
    tensors |= {f"best.{name}": value for name, value in snapshot.best.items()}
    save_file({name: _own_memory(value) for name, value in tensors.items()}, folder / _TENSORS)
    state = {name: value for name, value in vars(snapshot).items() if name not in ("weights", "best", "optimizer")}
    (folder / _STATE).write_text(json.dumps(state | {"optimizer": optimizer}), encoding="utf-8")


def _own_memory(tensor: Tensor) -> Tensor:
    """Returns the values alone: safetensors refuses tensors that share memory."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def _read(folder: Path) -> Snapshot:
    tensors = load_file(folder / _TENSORS)
    state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    parts: dict[str, dict[str, Tensor]] = {"weights": {}, "best": {}}
    rest: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        part, _, own_name = name.partition(".")
        if part == "optimizer":
            rest[name] = tensor
        else:
            parts[part][own_name] = tensor
    optimizer = unpack_optimizer(rest, state.pop("optimizer"))
    return Snapshot(weights=parts["weights"], best=parts["best"], optimizer=optimizer, **state)


def trainable_weights(model: torch.nn.Module) -> dict[str, Tensor]:
    """Returns copies, on the CPU, of the parameters that training changes, by name."""
    return {name: _own_memory(value) for name, value in model.named_parameters() if value.requires_grad}
