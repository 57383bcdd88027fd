"""What works on this machine, what doesn't, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from embedtune.data.hub import hub_reachable
from embedtune.errors import EmbedtuneError, MissingPackageError
from embedtune.extras import Extra, Package, installed_extras, needed_packages
from embedtune.language.options import KEY_VARIABLE, LanguageOptions
from embedtune.models.cache import default_cache_folder
from embedtune.packaged import minilm_folder

if TYPE_CHECKING:
    from embedtune.models.machine import Machine

__all__ = ["Problem", "Reach", "Setup", "Storage", "check_setup"]

_LITTLE_DISK = 5_000_000_000
_LITTLE_MEMORY = 4_000_000_000
"""What the quickstart takes."""


class Problem(NamedTuple):
    """An error keeps embedtune from working; a warning takes something away from it."""

    level: Literal["error", "warning"]
    found: str
    remedy: str


class Storage(NamedTuple):
    """A folder, whether it can be written to, and the bytes free where it is."""

    folder: str
    writable: bool
    free_bytes: int


class Reach(NamedTuple):
    """Whether a server answered, within how many seconds, and why not."""

    address: str
    reachable: bool
    offline: bool
    seconds: float
    reason: str


@dataclass(frozen=True)
class Setup:
    """Everything that was looked at; `machine` is None where PyTorch doesn't load.

    No value of a key or token is ever in it.
    """

    embedtune: str
    python: str
    machine: Machine | None
    packages: tuple[Package, ...]
    extras: tuple[Extra, ...]
    minilm: str
    vectors: Storage
    hub: Reach
    hub_token: bool
    language_address: str
    language_key: bool
    problems: tuple[Problem, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing essential is broken."""
        return not any(problem.level == "error" for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """Returns everything as JSON's types."""
        content = asdict(self)
        address, key = content.pop("language_address"), content.pop("language_key")
        return content | {
            "packages": {package.name: package._asdict() | {"fits": package.fits} for package in self.packages},
            "extras": {extra.name: _extra_json(extra) for extra in self.extras},
            "vectors": self.vectors._asdict(),
            "hub": self.hub._asdict() | {"token": content.pop("hub_token")},
            "language_model": {"address": address, KEY_VARIABLE: key},
            "problems": [problem._asdict() for problem in self.problems],
            "healthy": self.healthy,
        }


def check_setup() -> Setup:
    """Returns what was found; asks the Hub once, for some seconds at most, and no other server."""
    packages, extras = needed_packages(), installed_extras()
    vectors, hub = _storage(default_cache_folder()), _reach_hub()
    (machine, unloadable), (minilm, damage) = _machine(), _minilm()
    problems = [*_package_problems(packages), *unloadable, *damage, *_storage_problems(vectors), *_hub_problems(hub)]
    if machine is not None:
        problems += _machine_problems(machine)
    return Setup(
        embedtune=importlib.metadata.version("embedtune"),
        python=platform.python_version(),
        machine=machine,
        packages=tuple(packages),
        extras=tuple(extras),
        minilm=minilm,
        vectors=vectors,
        hub=hub,
        hub_token=_has_hub_token(),
        language_address=_without_secrets(LanguageOptions().address()),
        language_key=LanguageOptions.has_key(),
        problems=tuple(sorted(problems, key=lambda problem: problem.level)),
    )


def _extra_json(extra: Extra) -> dict[str, Any]:
    missing = [package.name for package in extra.missing]
    return {"purpose": extra.purpose, "installed": not missing, "missing": missing, "command": extra.command}


def _package_problems(packages: list[Package]) -> list[Problem]:
    found = []
    for package in packages:
        if not package.fits:
            has = f"version {package.installed}" if package.installed else "not installed"
            wanted = f"pip install '{package.name}{package.needed}'"
            found.append(Problem("error", f"the package {package.name}{package.needed} is needed: {has}", wanted))
    return found


def _machine() -> tuple[Machine | None, list[Problem]]:
    try:
        from embedtune.models.machine import describe_machine

        return describe_machine(), []
    except (ImportError, OSError, RuntimeError) as error:  # a damaged PyTorch, or a driver that doesn't answer
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return None, [Problem("error", f"PyTorch doesn't work: {reason}", "reinstall torch; see https://pytorch.org")]


def _minilm() -> tuple[str, list[Problem]]:
    """Returns "ready", "not installed" or "damaged", and the problem that is."""
    try:
        minilm_folder()
    except MissingPackageError:
        return "not installed", []
    except EmbedtuneError as error:
        return "damaged", [Problem("error", error.found, error.remedy or "")]
    return "ready", []


def _storage(folder: Path) -> Storage:
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            writable = True
    except OSError:
        writable = False
    return Storage(str(folder), writable, shutil.disk_usage(there).free)


def _storage_problems(vectors: Storage) -> list[Problem]:
    if not vectors.writable:
        remedy = "name another folder with EMBEDTUNE_CACHE_DIR or --cache-dir"
        return [Problem("error", f"the cache of vectors, {vectors.folder}, can't be written to", remedy)]
    if vectors.free_bytes < _LITTLE_DISK:
        free = f"{vectors.free_bytes / 1e9:.1f} GB"
        return [Problem("warning", f"{free} free for {vectors.folder}", "make room, or set EMBEDTUNE_CACHE_DIR")]
    return []


def _machine_problems(machine: Machine) -> list[Problem]:
    found = []
    if machine.free_bytes < _LITTLE_MEMORY:
        free = f"{machine.free_bytes / 1e9:.1f} GB of memory free, the quickstart takes about 4"
        found.append(Problem("warning", free, "end other programs, or train with --method adapter"))
    if machine.threads < machine.cores:
        few = f"PyTorch uses {machine.threads} of {machine.cores} cores"
        found.append(Problem("warning", few, "unset OMP_NUM_THREADS, if you didn't mean that"))
    return found


def _hub_problems(hub: Reach) -> list[Problem]:
    if hub.reachable or hub.offline:
        return []
    remedy = "models and datasets have to be folders; HF_ENDPOINT names a mirror, HF_HUB_OFFLINE=1 saves the wait"
    return [Problem("warning", f"the Hugging Face Hub: {hub.reason}", remedy)]


def _reach_hub() -> Reach:
    from huggingface_hub import constants

    address, offline, started = _without_secrets(constants.ENDPOINT), bool(constants.HF_HUB_OFFLINE), time.monotonic()
    reachable = hub_reachable()
    seconds = round(time.monotonic() - started, 2)
    refused = "HF_HUB_OFFLINE is set" if offline else f"{address} can't be reached"
    return Reach(address, reachable, offline, seconds, "" if reachable else refused)


def _has_hub_token() -> bool:
    from huggingface_hub import get_token

    return get_token() is not None


def _without_secrets(address: str) -> str:
    """Returns an address without the name and password that may stand before its host, and without its query."""
    try:
        parts = urlsplit(address)
    except ValueError as error:  # the text of the error may hold the address
        return f"an address that can't be read ({type(error).__name__})"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
