"""FAISS or a matrix product: which finds the exact top documents faster on this machine?

python benchmarks/exact_search.py. Rounds are interleaved; medians and ratios go to
exact_search.json beside this file.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import torch

from embedtune.artifact import provenance
from embedtune.search.vector_index import VectorIndex

ROUNDS = 5
SEED = 42
SIZES = ((500, 20_000), (1_000, 100_000))
DIM = 384
TOP_K = 10

Vectors = npt.NDArray[np.float32]


def unit_vectors(rows: int, generator: np.random.Generator) -> Vectors:
    """Returns (rows, DIM) random unit vectors."""
    vectors = generator.standard_normal((rows, DIM), dtype=np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def contestants(documents: Vectors, queries: Vectors) -> dict[str, Callable[[], Any]]:
    """Returns name → a search over the same vectors, index built beforehand."""
    flat = faiss.IndexFlatIP(DIM)
    flat.add(documents)
    ours = VectorIndex(documents, [str(i) for i in range(len(documents))])
    document_tensor, query_tensor = torch.from_numpy(documents), torch.from_numpy(queries)

    def numpy_product() -> Any:
        scores = queries @ documents.T
        return np.argpartition(scores, -TOP_K, axis=1)[:, -TOP_K:]

    return {
        "faiss flat": lambda: flat.search(queries, TOP_K),
        "VectorIndex (faiss flat, rescored, ties by id)": lambda: ours.search(queries, TOP_K),
        "torch matrix product + topk": lambda: torch.topk(query_tensor @ document_tensor.T, TOP_K),
        "numpy matrix product + argpartition": numpy_product,
    }


def measure(query_count: int, document_count: int) -> dict[str, Any]:
    """Returns medians in seconds and ratios to FAISS, contestants taking turns."""
    generator = np.random.default_rng(SEED)
    searches = contestants(unit_vectors(document_count, generator), unit_vectors(query_count, generator))
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    for _ in range(ROUNDS + 1):
        for name, search in searches.items():
            started = time.perf_counter()
            search()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    base = medians["faiss flat"]
    return {
        "queries": query_count,
        "documents": document_count,
        "dim": DIM,
        "top_k": TOP_K,
        "median_s": {name: round(value, 4) for name, value in medians.items()},
        "ratio_to_faiss": {name: round(value / base, 2) for name, value in medians.items()},
    }


def main() -> None:
    """Measures every size and writes the result."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)  # noqa: S607
    results = [measure(*size) for size in SIZES]
    content = {"results": results, "rounds": ROUNDS, "seed": SEED, "commit": commit.stdout.strip()} | provenance()
    text = json.dumps(content, indent=1) + "\n"
    (Path(__file__).with_suffix(".json")).write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
