"""What is in a file or folder, as a hash: two that hold the same have the same one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from embedtune.artifact import MANIFEST

__all__ = ["content_hash", "outside_hash"]

_SAYS_WHEN = frozenset({MANIFEST, "README.md", "training.jsonl"})
"""Files of ours that say when, where and how fast, and so differ between two equal results."""


def content_hash(path: Path) -> str:
    """Returns a SHA-256 (hexadecimal) of a file, or of all files in a folder with their names."""
    if path.is_file():
        return _file_hash(path)
    digest = hashlib.sha256()
    for file in sorted(one for one in path.rglob("*") if one.is_file() and one.name not in _SAYS_WHEN):
        digest.update(f"{file.relative_to(path).as_posix()}\0{_file_hash(file)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def outside_hash(text: str) -> str:
    """Returns the hash of what a path holds; of anything else, such as a model's name on the Hub, the name itself."""
    path = Path(text).expanduser()
    return content_hash(path) if path.exists() else f"name {text}"


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
