"""Folders that are complete or absent.

An artifact is written under a temporary name beside its place, its manifest last, and
renamed into place. A killed process leaves only a temporary folder, which nobody reads.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from embedtune.errors import StorageError

__all__ = [
    "MANIFEST",
    "Artifact",
    "disk_errors",
    "provenance",
    "refuse_strangers",
    "write_bytes_whole",
    "write_text_whole",
]

MANIFEST = "embedtune.json"
_FORMAT = 1
_FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_RECORDED_PACKAGES = (
    "embedtune",
    "sentence-transformers",
    "transformers",
    "torch",
    "numpy",
    "faiss-cpu",
    "bm25s",
    "rjieba",
)


@dataclass(frozen=True)
class Artifact:
    """A complete folder: its `kind`, what it was made from, and its path."""

    folder: Path
    kind: str
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, folder: str | Path, kind: str) -> Artifact:
        """Returns the artifact in `folder`; raises StorageError where there is none of that kind."""
        path = Path(folder) if isinstance(folder, str) else folder  # may be a place at a URL
        try:
            manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
            found = manifest["kind"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = "doesn't exist" if not path.exists() else f"has no readable {MANIFEST}"
            raise StorageError(
                f"{path} {reason}, so it isn't a complete {kind} folder",
                remedy=f"give the folder that an earlier command wrote as its {kind}",
            ) from error
        if found != kind:
            raise StorageError(f"{path} holds a {found}, expected a {kind}")
        return cls(path, kind, manifest)

    @classmethod
    @contextmanager
    def create(
        cls, folder: str | Path, kind: str, made_from: Mapping[str, Any], *, overwrite: bool = False
    ) -> Iterator[Path]:
        """Yields a temporary folder to fill; it becomes `folder` only if the block succeeds.

        `made_from` goes into the manifest beside versions and hardware. An existing folder is
        refused, or with `overwrite` replaced if it is an artifact of the same kind.
        """
        path = Path(folder)
        refuse_strangers(path, kind, overwrite)
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        try:
            with disk_errors(path):
                yield temporary
                manifest = {"kind": kind, "format": _FORMAT, "made_from": made_from} | provenance()
                text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
                (temporary / MANIFEST).write_text(text, encoding="utf-8")
                temporary.chmod(0o755)
                _swap(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def refuse_strangers(path: Path, kind: str, overwrite: bool) -> None:
    """Raises StorageError if `path` may not become an artifact; call it before long work."""
    if not path.exists():
        return
    if not overwrite:
        raise StorageError(
            f"{path} exists already and stays as it is",
            remedy="choose another --out, or pass --overwrite to replace it",
        )
    if path.is_dir() and not any(path.iterdir()):
        return
    Artifact.open(path, kind)


def _swap(temporary: Path, path: Path) -> None:
    """Puts `temporary` in the place of `path`; a crash between leaves one of the two whole."""
    if not path.exists():
        temporary.rename(path)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
    path.rename(old / "replaced")
    temporary.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def write_text_whole(path: Path, text: str) -> None:
    """Writes a text file so that readers see the old or the new one, never a part."""
    write_bytes_whole(path, [text.encode()])


def write_bytes_whole(path: Path, pieces: Iterable[bytes]) -> None:
    """Writes a file piece by piece; readers see the old or the new one, never a part."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines(pieces)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns a full or read-only disk into a StorageError that names `path` and the way out."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL_DISK:
            raise StorageError(
                f"no space left to write {path} ({free_megabytes(path)} MB free)",
                where=str(path),
                remedy="free some space or choose a folder on another disk; "
                "everything finished before is intact and will be reused",
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
            raise StorageError(
                f"can't write {path}: {error.strerror}",
                where=str(path),
                remedy="choose a folder that you may write to",
            ) from error
        raise


def free_megabytes(path: Path) -> int:
    """Returns the megabytes free on the disk that holds `path`, or its nearest existing parent."""
    for place in (path, *path.absolute().parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(place).free // 1_000_000
    return 0


def provenance() -> dict[str, Any]:
    """Returns what a number depends on besides its options: versions, machine, time."""
    versions = {"python": platform.python_version()}
    for name in _RECORDED_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions,
        "hardware": {"machine": platform.machine(), "system": platform.system(), "cores": os.cpu_count()},
    }
