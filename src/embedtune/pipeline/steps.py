"""Named steps whose outputs are kept and done again only when something changed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from embedtune import progress
from embedtune.artifact import write_text_whole

__all__ = ["Steps"]

_RECORD = "steps.json"


class Steps:
    """The steps of one run folder.

    A step is done when its output is there and steps.json has its key: a hash of its name, its
    options, the keys of the steps it builds on, and embedtune's version. steps.json is written
    after the output, so a killed step is done again and a finished one isn't.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reused: list[str] = []
        self._keys: dict[str, str] = {}
        self._record = self._read_record()

    def run(
        self, name: str, output: str, made_from: Mapping[str, Any], after: tuple[str, ...], work: Callable[[Path], Any]
    ) -> Path:
        """Returns the path of the step's output, doing `work(path)` if it isn't up to date."""
        path = self.folder / output
        key = self._keys[name] = self._key(name, made_from, after)
        if self._record.get(name, {}).get("key") == key and path.exists():
            self.reused.append(name)
            progress.say(f"[{name}] done before, reused")
            return path
        progress.say(f"[{name}]")
        started = time.perf_counter()
        work(path)
        self._record[name] = {"key": key, "seconds": round(time.perf_counter() - started, 1)}
        write_text_whole(self.folder / _RECORD, json.dumps(self._record, indent=2) + "\n")
        return path

    def seconds(self) -> dict[str, float]:
        """Returns how long each step of this run took when it was done."""
        return {name: self._record[name]["seconds"] for name in self._keys}

    def _key(self, name: str, made_from: Mapping[str, Any], after: tuple[str, ...]) -> str:
        parts = {
            "version": importlib.metadata.version("embedtune"),
            "name": name,
            "made_from": made_from,
            "after": [self._keys[step] for step in after],
        }
        text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def _read_record(self) -> dict[str, dict[str, Any]]:
        try:
            record = json.loads((self.folder / _RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}
