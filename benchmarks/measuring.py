"""What benchmarks do alike: take turns, take the median, average over seeds, write down the machine."""

from __future__ import annotations

import json
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedtune.artifact import provenance
from embedtune.evaluate.evaluation import Evaluation
from embedtune.evaluate.scores import Scores

__all__ = ["SEED", "interleaved", "mean_of", "unit_vectors", "write_result"]

SEED = 42
ROUNDS = 5


def interleaved(
    contestants: Mapping[str, Callable[[], Any]], rounds: int = ROUNDS, warm: bool = True
) -> dict[str, Any]:
    """Returns the median seconds of each, taking turns, and all readings; with `warm` one round more goes first."""
    readings: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + warm):
        for name, contestant in contestants.items():
            started = time.perf_counter()
            contestant()
            seconds = time.perf_counter() - started
            if number >= warm:
                readings[name].append(round(seconds, 4))
            print(f"{name}: {seconds:.3f} s", flush=True)
    return {"median_s": {name: statistics.median(values) for name, values in readings.items()}, "readings_s": readings}


def unit_vectors(rows: int, dim: int, generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """Returns (rows, dim) random unit vectors."""
    vectors = generator.standard_normal((rows, dim), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def mean_of(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Returns an evaluation whose per-query scores are the means over several, such as one a seed."""
    first = evaluations[0]
    values = {
        measure: np.mean([evaluation.scores.values[measure] for evaluation in evaluations], axis=0)
        for measure in first.scores.values
    }
    return replace(first, scores=Scores(first.scores.query_ids, values, first.scores.left_out))


def write_result(benchmark: str, content: Mapping[str, Any]) -> None:
    """Writes the result beside the benchmark's file, with machine, versions, commit and seed."""
    path = Path(benchmark).with_suffix(".json")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=path.parent)
    versions = {name: metadata.version(name) for name in ("pytrec-eval-terrier", "msgspec", "pyarrow", "xxhash")}
    whole = dict(content) | {"seed": SEED, "commit": commit.stdout.strip()} | provenance()
    whole["versions"] |= versions
    whole["hardware"]["processor"] = _processor()
    path.write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return found.group(1) if found else platform.processor()
