"""How fast is NUDGE beside the authors' package, and how much memory does it take at 370,000 documents?

python benchmarks/nudge_speed.py. Rounds are interleaved; medians, ratios and the largest difference
of the vectors go to nudge_speed.json beside this file.
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from nudge import NUDGEM, NUDGEN

from embedtune.artifact import provenance
from embedtune.train.nudging import Judged, Moves, nudge_m, nudge_n

ROUNDS = 5
SEED = 42
DOCUMENTS, TRAIN, VAL, DIM = 20_000, 5_000, 1_000, 384
LARGE_DOCUMENTS, LARGE_TRAIN, LARGE_VAL, LARGE_DIM = 370_000, 60_000, 2_000, 512

Vectors = npt.NDArray[np.float32]
Answers = list[list[int]]


def unit(vectors: npt.NDArray[Any]) -> Vectors:
    """Returns the rows at length 1, float32."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Data:
    """Documents, and queries about a quarter of them that ask in a way the documents' vectors don't show."""

    def __init__(self, documents: int, train: int, val: int, dim: int) -> None:
        generator = np.random.default_rng(SEED)
        self.documents = unit(generator.standard_normal((documents, dim), dtype=np.float32))
        asked = max(1, documents // 4)
        hidden = unit(generator.standard_normal((asked, dim), dtype=np.float32))
        self.queries: dict[str, tuple[Vectors, Answers]] = {}
        for name, count in (("train", train), ("val", val)):
            answers = [generator.choice(asked, generator.integers(1, 3)).tolist() for _ in range(count)]
            wanted = np.stack([self.documents[rows].mean(axis=0) + 0.6 * hidden[rows[0]] for rows in answers])
            noise = 2.0 * generator.standard_normal((count, dim), dtype=np.float32) / np.sqrt(dim)
            self.queries[name] = unit(wanted + noise), answers

    def theirs(self, method: Any) -> Vectors:
        """Returns the vectors of the authors' package."""
        sets = [{"q_embs": vectors, "q_ans_indx": answers} for vectors, answers in self.queries.values()]
        with contextlib.redirect_stdout(io.StringIO()):
            moved: Vectors = method(torch.device("cpu")).finetune_embeddings(self.documents, *sets)
        return moved

    def ours(self, method: Callable[[Vectors, Judged, Judged], Moves]) -> Moves:
        """Returns our moves, from the same arrays and lists."""
        judged = [
            Judged.of(vectors, [(row, document) for row, rows in enumerate(answers) for document in rows])
            for vectors, answers in self.queries.values()
        ]
        return method(self.documents, *judged)


def beside_the_authors() -> list[dict[str, Any]]:
    """Returns medians, ratios and differences, contestants taking turns."""
    data = Data(DOCUMENTS, TRAIN, VAL, DIM)
    contests: list[tuple[str, Any, Callable[..., Moves]]] = [("n", NUDGEN, nudge_n), ("m", NUDGEM, nudge_m)]
    seconds: dict[str, list[float]] = {f"{side} {name}": [] for name, *_ in contests for side in ("theirs", "ours")}
    results: dict[str, Any] = {}
    for _ in range(ROUNDS + 1):
        for name, theirs, ours in contests:
            for side, run in (("theirs", lambda t=theirs: data.theirs(t)), ("ours", lambda o=ours: data.ours(o))):
                started = time.perf_counter()
                results[f"{side} {name}"] = run()
                seconds[f"{side} {name}"].append(time.perf_counter() - started)
    rows = []
    for name, *_ in contests:
        moves: Moves = results[f"ours {name}"]
        vectors = data.documents.copy()
        vectors[moves.rows] = moves.vectors
        times = {side: statistics.median(seconds[f"{side} {name}"][1:]) for side in ("theirs", "ours")}
        rows.append(
            {
                "variant": name,
                "gamma": moves.gamma,
                "documents_with_training_queries": len(moves.rows),
                "median_s": {side: round(value, 4) for side, value in times.items()},
                "ratio": round(times["theirs"] / times["ours"], 1),
                "largest_difference": float(np.abs(vectors - results[f"theirs {name}"]).max()),
            }
        )
    return rows


def peak_mb() -> int:
    """Returns the largest memory this process has held since the peak was last cleared."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 // 1_000_000


def large() -> dict[str, Any]:
    """Returns time and memory at 370,000 documents, in a process of its own."""
    data = Data(LARGE_DOCUMENTS, LARGE_TRAIN, LARGE_VAL, LARGE_DIM)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak is counted from here
    found: dict[str, Any] = {"vectors_mb": data.documents.nbytes // 1_000_000, "before_mb": peak_mb()}
    for name, method in (("n", nudge_n), ("m", nudge_m)):
        started = time.perf_counter()
        moves = data.ours(method)
        found[name] = {
            "seconds": round(time.perf_counter() - started, 1),
            "gamma": moves.gamma,
            "moved": len(moves.rows),
            "peak_mb": peak_mb(),
        }
    return found


def main() -> None:
    """Measures and writes the result."""
    if sys.argv[1:] == ["large"]:
        print(json.dumps(large()))
        return
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    child = subprocess.run([sys.executable, __file__, "large"], capture_output=True, text=True, check=True)
    sizes = {"documents": DOCUMENTS, "train": TRAIN, "val": VAL, "dim": DIM}
    large_sizes = {"documents": LARGE_DOCUMENTS, "train": LARGE_TRAIN, "val": LARGE_VAL, "dim": LARGE_DIM}
    content = {
        "sizes": sizes,
        "beside_nudge_ft_0_1_2": beside_the_authors(),
        "large_sizes": large_sizes,
        "large": json.loads(child.stdout),
        "rounds": ROUNDS,
        "seed": SEED,
        "commit": commit.stdout.strip(),
    } | provenance()
    text = json.dumps(content, indent=1) + "\n"
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
