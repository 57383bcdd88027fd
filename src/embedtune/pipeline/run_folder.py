"""The folder of a run: one folder a step, complete once its manifest is there, and a lock."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embedtune import progress
from embedtune.artifact import MANIFEST, Artifact, disk_errors, provenance, write_text_whole
from embedtune.errors import StorageError

__all__ = ["RECIPE_FILE", "STEP", "RunFolder"]

STEP = "recipe-step"
RECIPE_FILE = "recipe.json"
_LOCK = ".lock"
_BEGUN = ".begun"


class RunFolder:
    """A run's folder. A step's folder is cleared before it is done again, and its manifest is written last.

    So a killed process leaves a folder without a manifest, which counts as not done.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def step_folder(self, name: str) -> Path:
        """Returns where a step's outputs lie."""
        return self.folder / name

    def manifest(self, name: str) -> Mapping[str, Any] | None:
        """Returns a finished step's manifest; None where it isn't finished."""
        try:
            made: Mapping[str, Any] = Artifact.open(self.step_folder(name), STEP).manifest["made_from"]
        except (StorageError, KeyError):
            return None
        folder = self.step_folder(name)
        return made if all((folder / one).exists() for one in made["outputs"]) else None

    def begun(self, name: str) -> str | None:
        """Returns the key of a step that was begun and not finished."""
        try:
            return (self.step_folder(name) / _BEGUN).read_text(encoding="utf-8")
        except OSError:
            return None

    def begin(self, name: str, key: str, *, resumes: bool) -> Path:
        """Returns the step's folder: empty, or as the same step left it when it was killed."""
        folder = self.step_folder(name)
        if not (resumes and self.begun(name) == key):
            self.remove(name)
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_text_whole(folder / _BEGUN, key)
        return folder

    def finish(self, name: str, made_from: Mapping[str, Any]) -> None:
        """Makes a step's folder complete."""
        folder = self.step_folder(name)
        for left in folder.glob(".*"):
            if left.name != _BEGUN:  # what was killed left it behind
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        content = {"kind": STEP, "format": 1, "made_from": made_from} | provenance()
        write_text_whole(folder / MANIFEST, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
        (folder / _BEGUN).unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Removes a step's folder, its manifest first, so that half of it never looks complete.

        Raises StorageError for a folder that no step wrote.
        """
        folder = self.step_folder(name)
        if not folder.exists():
            return
        if not ((folder / MANIFEST).exists() or (folder / _BEGUN).exists()) and any(folder.iterdir()):
            raise StorageError(f"{folder} is in the way: no step wrote it", remedy="move it, or name another --out")
        (folder / MANIFEST).unlink(missing_ok=True)
        write_text_whole(folder / _BEGUN, "")
        for one in folder.iterdir():
            if one.name != _BEGUN:
                shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
        shutil.rmtree(folder)

    @contextmanager
    def locked(self, *, wait: bool = False) -> Iterator[None]:
        """Keeps other runs out of the folder; a process that dies lets go of it.

        Raises StorageError where another run has it, or waits for it to end.
        """
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / _LOCK).open("a+", encoding="utf-8")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                owner = file.read().strip() or "unknown"
                if not wait:
                    raise StorageError(
                        f"another run is at work in {self.folder} (process {owner})",
                        remedy="wait for it with --wait, or name another --out",
                    ) from None
                progress.say(f"waiting for process {owner}, which is at work in {self.folder}")
                fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            with contextlib.ExitStack() as stack:
                stack.callback(file.truncate, 0)
                yield

    def write_recipe(self, values: Mapping[str, Any]) -> None:
        """Keeps the recipe as it was resolved, beside what it gave."""
        write_text_whole(
            self.folder / RECIPE_FILE, json.dumps(values, ensure_ascii=False, indent=2, default=str) + "\n"
        )
