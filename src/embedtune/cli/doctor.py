"""embedtune doctor: what works on this machine, and what to install."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from embedtune.cli.flags import command
from embedtune.language.options import KEY_VARIABLE

if TYPE_CHECKING:
    from embedtune.models.machine import Machine
    from embedtune.pipeline.setup_check import Reach, Setup

__all__ = ["doctor_command"]

_BROKEN = 1
_MAIN_PACKAGES = ("torch", "transformers", "sentence-transformers", "faiss-cpu", "datasets", "huggingface-hub")
_WIDTH = 80
_INDENT = 12
_NAMES = {
    "bfloat16": "bfloat16",
    "float16": "float16",
    "vnni": "VNNI",
    "amx": "AMX",
    "avx512": "AVX-512",
    "avx2": "AVX2",
}


@command
def doctor_command(
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Says what works on this machine, and what to install.

    Exit status: 0, or 1 where something essential is broken. It asks the Hub once, for four
    seconds at most, and shows no key. To look for false negatives in a dataset, use embedtune mine.

    Example: embedtune doctor
    """
    from embedtune.pipeline.setup_check import check_setup

    setup = check_setup()
    if json_output:
        typer.echo(json.dumps(setup.to_json(), ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(_words(setup)))
    if not setup.healthy:
        raise typer.Exit(_BROKEN)


def _words(setup: Setup) -> list[str]:
    return [
        *([] if setup.machine is None else _machine_words(setup.machine)),
        _row("software", _versions(setup)),
        _row("minilm", f"{setup.minilm} (all-MiniLM-L6-v2, the encoder that needs no download)"),
        _row("vectors", _storage_words(setup)),
        _row("the Hub", _hub_words(setup.hub, setup.hub_token)),
        _row("LLM server", _language_words(setup)),
        "",
        *_extra_words(setup),
        "",
        *_problem_words(setup),
    ]


def _row(name: str, words: str) -> str:
    return _wrapped(f"{name:<{_INDENT}}{words}", " " * _INDENT)


def _wrapped(words: str, indent: str) -> str:
    return textwrap.fill(words, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _machine_words(machine: Machine) -> list[str]:
    has = [_NAMES[name] for name, there in machine.abilities.items() if there]
    lacks = [_NAMES[name] for name, there in machine.abilities.items() if not there]
    knows = f"has {', '.join(has) or 'none of these'}" + (f"; lacks {', '.join(lacks)}" if lacks else "")
    kernels = "in use" + (", int8 too" if machine.int8 else ", without int8")
    gpus = [
        _row("GPU", f"{gpu.name}, {_gb(gpu.free_bytes)} of {_gb(gpu.total_bytes)} free{', bfloat16' * gpu.bfloat16}")
        for gpu in machine.gpus
    ]
    return [
        _row("system", machine.system),
        _row("processor", f"{machine.cpu}, cores: {machine.cores}, threads: {machine.threads}"),
        _row("", knows),
        *(gpus or [_row("GPU", "none that PyTorch sees")]),
        _row("memory", f"{_gb(machine.free_bytes)} of {_gb(machine.total_bytes)} free"),
        _row("computes", f"{machine.precision} on {machine.device}, unless --precision and --device say otherwise"),
        _row("kernels", f"not in use: {machine.no_kernels}" if machine.no_kernels else kernels),
    ]


def _versions(setup: Setup) -> str:
    shown = {package.name: package.installed for package in setup.packages if package.name in _MAIN_PACKAGES}
    main = [f"{name} {shown[name]}" for name in _MAIN_PACKAGES if shown.get(name)]
    return ", ".join([f"embedtune {setup.embedtune}", f"Python {setup.python}", *main])


def _storage_words(setup: Setup) -> str:
    free = _gb(setup.vectors.free_bytes)
    return f"{setup.vectors.folder}, {free} free{'' if setup.vectors.writable else ', NOT WRITABLE'}"


def _hub_words(hub: Reach, token: bool) -> str:
    login = "a token is there" if token else "no token, so public models only"
    if hub.reachable:
        return f"{hub.address} answers in {hub.seconds:.2f} s; {login}"
    return f"not asked, {hub.reason}" if hub.offline else f"{hub.address} doesn't answer; {login}"


def _language_words(setup: Setup) -> str:
    key = f"${KEY_VARIABLE} is set" if setup.language_key else f"${KEY_VARIABLE} isn't set"
    return f"{setup.language_address}; {key}; for synth --backend openai, not asked now"


def _extra_words(setup: Setup) -> list[str]:
    width = max((len(extra.command) for extra in setup.extras), default=0) + 2
    here = [extra.name for extra in setup.extras if not extra.missing]
    missing = [f"  {extra.command:<{width}}{extra.purpose}" for extra in setup.extras if extra.missing]
    lines = [_row("extras", ", ".join(here) or "none")]
    return lines + (["not installed:", *missing] if missing else [])


def _problem_words(setup: Setup) -> list[str]:
    if not setup.problems:
        return ["nothing is wrong"]
    lines = []
    for problem in setup.problems:
        lines += [_wrapped(f"{problem.level}: {problem.found}", "  "), _wrapped(f"  to do: {problem.remedy}", " " * 9)]
    return lines


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB"
