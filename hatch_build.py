"""Compiles the kernels beside their source when embedtune is installed, if there is a C compiler.

Without one, or on another kind of processor, the package is complete all the same: it computes
through PyTorch alone. Each function asks the processor what it can do before it is used.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("src/embedtune/models/packed")
FLAGS = ("-O3", "-shared", "-fPIC", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512bf16", "-mfma")


class KernelsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds libkernels.so to what is installed."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compiles, and marks the wheel as made for this platform where that worked."""
        source = Path(self.root) / FOLDER / "kernels.c"
        if self.target_name != "wheel" or not compile_kernels(source, source.with_name("libkernels.so")):
            return
        build_data["artifacts"].append(str(FOLDER / "libkernels.so"))
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")


def compile_kernels(source: Path, library: Path) -> bool:
    """Returns whether the library was made; it carries the hash of its source."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or platform.machine() not in ("x86_64", "AMD64") or os.name != "posix":
        return False
    made_from = hashlib.sha256(source.read_bytes()).hexdigest()
    with tempfile.TemporaryDirectory(dir=source.parent, prefix=".kernels.") as folder:
        fresh = Path(folder) / library.name
        define = f'-DMADE_FROM="{made_from}"'
        command = [*compiler.split(), *FLAGS, define, str(source), "-o", str(fresh)]
        done = subprocess.run(command, check=False)  # noqa: S603 - the user's own compiler
        if done.returncode:
            return False
        fresh.replace(library)
    return True
