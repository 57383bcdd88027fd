"""What this machine computes with: processor, GPUs, memory, threads, and the precisions they know."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from embedtune.models.packed.kernels import compiled_kernels, why_no_kernels
from embedtune.models.sentence_transformer import choose_device, choose_precision

__all__ = ["Gpu", "Machine", "describe_machine", "usable_cores"]

_CPUINFO = Path("/proc/cpuinfo")
_CGROUP = Path("/sys/fs/cgroup")
_ABILITIES = {
    "avx2": ("avx2",),
    "avx512": ("avx512_f",),
    "bfloat16": ("avx512_bf16", "amx_bf16"),
    "vnni": ("avx512_vnni", "avx_vnni"),
    "amx": ("amx_tile",),
    "float16": ("avx512_fp16", "amx_fp16"),
}
"""What a processor can do → the names PyTorch has for it, one of which is enough."""


class Gpu(NamedTuple):
    """A GPU; sizes in bytes."""

    name: str
    total_bytes: int
    free_bytes: int
    bfloat16: bool


@dataclass(frozen=True)
class Machine:
    """What there is, and what `--device auto --precision auto` makes of it; sizes in bytes.

    `cores` are those this process may use, a container's limit included. `no_kernels` says why
    the compiled kernels aren't used; "" where they are.
    """

    system: str
    cpu: str
    cores: int
    threads: int
    abilities: dict[str, bool]
    total_bytes: int
    free_bytes: int
    gpus: tuple[Gpu, ...]
    device: str
    precision: str
    no_kernels: str
    int8: bool


def describe_machine() -> Machine:
    """Returns what is found now; free memory changes from call to call."""
    device = choose_device("auto")
    kernels = compiled_kernels()
    total, free = _memory(_CGROUP)
    known = torch.cpu.get_capabilities()
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        cpu=_cpu_name(),
        cores=usable_cores(),
        threads=torch.get_num_threads(),
        abilities={name: any(known.get(part) for part in parts) for name, parts in _ABILITIES.items()},
        total_bytes=total,
        free_bytes=free,
        gpus=_gpus(),
        device=str(device),
        precision=choose_precision("auto", device),
        no_kernels=why_no_kernels(),
        int8=kernels is not None and kernels.can_quantise(16),
    )


def usable_cores() -> int:
    """Returns how many cores this process may use, a container's limit included."""
    return _cores(_CGROUP)


def _cpu_name() -> str:
    if _CPUINFO.is_file():
        for line in _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores(cgroup: Path) -> int:
    """Returns how many cores this process may use, at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _words(cgroup / "cpu.max")
    if len(quota) == 2 and quota[0].isdigit():
        allowed = min(allowed, -(-int(quota[0]) // int(quota[1])))
    return max(1, allowed)


def _memory(cgroup: Path) -> tuple[int, int]:
    """Returns total and free bytes, by the container's limit where it is lower than the machine's."""
    machine = psutil.virtual_memory()
    total, free = int(machine.total), int(machine.available)
    limit, used = _words(cgroup / "memory.max"), _words(cgroup / "memory.current")
    if limit and limit[0].isdigit() and int(limit[0]) < total:
        total = int(limit[0])
        free = min(free, max(0, total - (int(used[0]) if used else 0)))
    return total, free


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):  # no such control group, or none that we may read
        return []


def _gpus() -> tuple[Gpu, ...]:
    if not torch.cuda.is_available():
        return ()
    found = []
    for place in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(place)
        bfloat16 = torch.cuda.get_device_capability(place) >= (8, 0)
        found.append(Gpu(torch.cuda.get_device_name(place), int(total), int(free), bfloat16))
    return tuple(found)
