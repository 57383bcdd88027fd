"""The runs in a folder: what they hold, how they differ, what can go."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedtune.errors import StorageError
from embedtune.evaluate.evaluation import read_evaluation
from embedtune.pipeline.planning import differences
from embedtune.pipeline.run_folder import RECIPE_FILE, RunFolder

__all__ = ["RunComparison", "RunFacts", "clean_run", "compare_runs", "list_runs"]


@dataclass(frozen=True)
class RunFacts:
    """A run: how many of its steps are finished, how long they took, and its size on the disk."""

    folder: Path
    steps: int
    finished: int
    seconds: float
    size_bytes: int


@dataclass(frozen=True)
class RunComparison:
    """Step → run → the mean of the measure, and in words what each run does differently from the first."""

    measure: str
    means: Mapping[str, Mapping[str, float]]
    changes: Mapping[str, Sequence[str]]


def list_runs(folder: Path) -> list[RunFacts]:
    """Returns the runs directly in a folder, by name."""
    return [_facts(path.parent) for path in sorted(folder.glob(f"*/{RECIPE_FILE}"))]


def compare_runs(folders: Sequence[Path], measure: str = "ndcg_at_10") -> RunComparison:
    """Returns the evaluations of several runs side by side; raises StorageError for what isn't a run."""
    means: dict[str, dict[str, float]] = {}
    changes: dict[str, list[str]] = {}
    first = _manifests(folders[0])
    for folder in folders:
        finished = _manifests(folder)
        for name, made in finished.items():
            if made["parts"]["kind"] == "eval":
                scores = read_evaluation(folder / name / made["outputs"][0]).scores
                if measure in scores.values:
                    means.setdefault(name, {})[str(folder)] = scores.mean(measure)
        changes[str(folder)] = [
            f"{name}: {change}"
            for name, made in finished.items()
            if name in first
            for change in differences(first[name]["parts"], made["parts"])
        ]
    return RunComparison(measure, means, changes)


def clean_run(folder: Path, *, remove: bool) -> list[Path]:
    """Returns what a run no longer needs: steps begun and not finished, and steps that its recipe no longer has.

    With `remove` they are removed. Raises StorageError where a run is at work in the folder.
    """
    run = RunFolder(folder)
    names = _step_names(folder)
    with run.locked():
        left = [path for path in sorted(folder.iterdir()) if path.is_dir() and not _needed(run, path.name, names)]
        for path in left if remove else ():
            run.remove(path.name)
    return left


def _needed(run: RunFolder, name: str, names: Sequence[str]) -> bool:
    """Returns whether a folder stays: a finished step of the recipe, or something that no step wrote."""
    finished, begun = run.manifest(name) is not None, run.begun(name) is not None
    return (finished and name in names) or not (finished or begun)


def _facts(folder: Path) -> RunFacts:
    finished = _manifests(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    seconds = sum(made["seconds"] for made in finished.values())
    return RunFacts(folder, len(_step_names(folder)), len(finished), round(seconds, 1), size)


def _manifests(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Returns the finished steps of a run in the recipe's order."""
    found = {name: RunFolder(folder).manifest(name) for name in _step_names(folder)}
    return {name: made for name, made in found.items() if made is not None}


def _step_names(folder: Path) -> list[str]:
    try:
        return list(json.loads((folder / RECIPE_FILE).read_text(encoding="utf-8"))["steps"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{folder} isn't a run: it has no readable {RECIPE_FILE}",
            remedy="give a folder that embedtune run wrote; embedtune runs list names those in runs/",
        ) from error
