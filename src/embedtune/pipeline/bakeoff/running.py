"""Runs a bake-off to its end, or on from where it was killed, and writes what it found."""

from __future__ import annotations

import json
from pathlib import Path

from embedtune import progress
from embedtune.artifact import write_text_whole
from embedtune.errors import StorageError
from embedtune.pipeline.bakeoff.expansion import Bakeoff, expand
from embedtune.pipeline.bakeoff.page import write_page
from embedtune.pipeline.bakeoff.result import BakeoffResult, read_result
from embedtune.pipeline.run_folder import RunFolder
from embedtune.pipeline.running import run_recipe
from embedtune.pipeline.step_kind import Workshop
from embedtune.report.options import PageOptions

__all__ = ["FIGURES", "PAGE", "run_bakeoff"]

FIGURES, PAGE = "bakeoff.json", "report.html"
_STEPS = "steps"


def run_bakeoff(
    asked: Bakeoff, folder: Path, workshop: Workshop, page: PageOptions | None = None, *, wait: bool = False
) -> BakeoffResult:
    """Returns the result; bakeoff.json and report.html lie in the folder then, every step under steps/.

    What an earlier run of the same finished isn't done again. Raises StorageError where the folder holds
    something else, or another run is at work in it.
    """
    steps = RunFolder(folder / _STEPS)
    _refuse_strangers(folder, steps)
    recipe = expand(asked)
    if not asked.guards:
        progress.say(
            "note: no guard was named, so embedtune's small general set stands in for what a new model could "
            "forget; bring what your users also search, with --guard NAME=DATASET"
        )
    run_recipe(recipe, steps, workshop, wait=wait)
    result = read_result(asked, steps)
    write_page(result, steps, folder / PAGE, page or PageOptions())
    write_text_whole(folder / FIGURES, json.dumps(result.to_json(), ensure_ascii=False, indent=2) + "\n")
    return result


def _refuse_strangers(folder: Path, steps: RunFolder) -> None:
    if any((folder / name).exists() for name in (FIGURES, PAGE)) and not steps.folder.is_dir():
        raise StorageError(
            f"{folder} holds a page or figures that no bake-off wrote, and they stay as they are",
            where=str(folder),
            remedy="name another --out",
        )
