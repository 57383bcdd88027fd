"""How long does the exact top 100 take: VectorIndex, FAISS, sentence-transformers?

    python benchmarks/search_speed.py [PART …]

Parts: batches (10,000 queries in 360,000 × 512, five rounds of 2,000 queries each), single (one
query), mapped (from a saved index), approximate. Every part adds to search_speed.json.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from sentence_transformers import util

from embedtune.search.index import build_index, load_index, recall_against_exact, save_index
from embedtune.search.vector_index import VectorIndex
from measuring import SEED, interleaved, unit_vectors, write_result

DOCUMENTS, DIM, TOP_K, BATCH = 360_000, 512, 100, 2_000
OURS, FAISS, THEIRS = "embedtune VectorIndex", "faiss IndexFlatIP", "sentence-transformers semantic_search"


def contestants(documents: Any, queries: Any) -> dict[str, Callable[[], Any]]:
    """Returns the three searches over the same vectors, indexes built beforehand."""
    flat = faiss.IndexFlatIP(DIM)
    flat.add(documents)
    ours = VectorIndex(documents, [f"d{row}" for row in range(len(documents))])
    corpus, asked = torch.from_numpy(documents), torch.from_numpy(queries)
    return {
        OURS: lambda: ours.search_rows(queries, TOP_K),
        FAISS: lambda: flat.search(queries, TOP_K),
        THEIRS: lambda: util.semantic_search(asked, corpus, top_k=TOP_K, score_function=util.dot_score),
    }


def batches(documents: Any, queries: Any) -> dict[str, Any]:
    """Batches of 2,000 queries, five rounds: ours and FAISS see 10,000 queries in all."""
    return {"queries": BATCH} | interleaved(contestants(documents, queries[:BATCH]), warm=False)


def single(documents: Any, queries: Any) -> dict[str, Any]:
    """One query, 11 rounds."""
    return {"queries": 1} | interleaved(contestants(documents, queries[:1]), rounds=11)


def mapped(documents: Any, queries: Any) -> dict[str, Any]:
    """10,000 queries at once, in memory and from the memory map of a saved index."""
    ids = [f"d{row}" for row in range(len(documents))]
    inside = VectorIndex(documents, ids)
    with tempfile.TemporaryDirectory() as folder:
        save_index(inside, "exact", Path(folder) / "index")
        saved = load_index(Path(folder) / "index")
        return {"queries": len(queries)} | interleaved(
            {
                "in memory": lambda: inside.search_rows(queries, TOP_K),
                "memory map": lambda: saved.search_rows(queries, TOP_K),
            },
            warm=False,
        )


def approximate(documents: Any, queries: Any) -> dict[str, Any]:
    """IVF and HNSW over 50,000 clustered documents: building, 1,000 queries, recall."""
    generator = np.random.default_rng(SEED)
    centres = unit_vectors(500, DIM, generator)
    made = centres[generator.integers(0, 500, 51_000)] + documents[:51_000] * np.float32(1.5)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    few, asked = made[:50_000], made[50_000:]
    found: dict[str, Any] = {"documents": len(few), "queries": len(asked), "top_k": 10}
    for name in ("exact", "faiss-ivf", "faiss-hnsw"):
        started = time.perf_counter()
        index = build_index(name, few, [f"d{row}" for row in range(len(few))])
        built = time.perf_counter() - started
        seconds = interleaved({name: lambda index=index: index.search_rows(asked, 10)})["median_s"][name]
        recall = recall_against_exact(index, few, asked, 10, sample=200, seed=SEED)
        found[name] = {"build_s": round(built, 2), "search_s": seconds, "recall": round(recall, 4)}
    return found


PARTS = {"batches": batches, "single": single, "mapped": mapped, "approximate": approximate}


def main() -> None:
    """Measures the parts asked for and writes them over the earlier ones."""
    generator = np.random.default_rng(SEED)
    documents, queries = unit_vectors(DOCUMENTS, DIM, generator), unit_vectors(10_000, DIM, generator)
    path = Path(__file__).with_suffix(".json")
    earlier = json.loads(path.read_text(encoding="utf-8"))["parts"] if path.exists() else {}
    measured = {name: PARTS[name](documents, queries) for name in sys.argv[1:] or PARTS}
    write_result(__file__, {"documents": DOCUMENTS, "dim": DIM, "top_k": TOP_K, "parts": earlier | measured})


if __name__ == "__main__":
    main()
