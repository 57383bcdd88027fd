"""What does the cache cost: keys, writing, and reading 360,000 × 512 vectors again?

    python benchmarks/cache_speed.py

The encoder returns vectors that are there already, so what is measured is the cache. "Cold" files
were dropped from the system's memory. Writes cache_speed.json.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from embedtune.models.cache import EmbeddingCache
from embedtune.models.stored import text_keys
from measuring import SEED, interleaved, unit_vectors, write_result

TEXTS, DIM = 360_000, 512


class ReadyEncoder:
    """Returns rows of one array for texts that end in their number."""

    dim = DIM
    cache_key: dict[str, Any] = {"weights": "ready"}  # noqa: RUF012

    def __init__(self, vectors: Any) -> None:
        self.vectors = vectors

    def prompt(self, kind: str) -> str:
        """Returns no prompt."""
        return ""

    def encode(self, texts: list[str], kind: str) -> Any:
        """Returns the vectors of these texts."""
        return self.vectors[[int(text.rsplit(" ", 1)[1]) for text in texts]]


def files_of(folder: Path) -> list[Path]:
    """Returns the segments of a cache."""
    return sorted(folder.rglob("*.safetensors"))


def drop(folder: Path) -> None:
    """Drops the files from the system's memory, so that the disk is read."""
    for path in files_of(folder):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_bytes(folder: Path) -> None:
    """Reads the same bytes with numpy into one array."""
    whole = np.empty(sum(path.stat().st_size for path in files_of(folder)), dtype=np.uint8)
    start = 0
    for path in files_of(folder):
        part = np.fromfile(path, dtype=np.uint8)
        whole[start : start + len(part)] = part
        start += len(part)


def main() -> None:
    """Fills a cache, then measures reading it beside reading its bytes."""
    vectors = unit_vectors(TEXTS, DIM, np.random.default_rng(SEED))
    texts = [f"a short text about one thing, number {row}" for row in range(TEXTS)]
    encoder = ReadyEncoder(vectors)
    content: dict[str, Any] = {"texts": TEXTS, "dim": DIM}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        for precision in ("float32", "float16"):
            folder = Path(name) / precision
            writing = []
            for _ in range(1 if precision == "float16" else 5):
                for path in files_of(folder):
                    path.unlink()
                started = time.perf_counter()
                EmbeddingCache(folder, precision).encode(encoder, texts, "document")
                writing.append(round(time.perf_counter() - started, 2))
            size = sum(path.stat().st_size for path in files_of(folder))
            bare = TEXTS * DIM * (4 if precision == "float32" else 2)
            content[precision] = {
                "size_over_vectors": round(size / bare, 4),
                "write_s": statistics.median(writing),
                "write_readings_s": writing,
            }
            read = {
                "embedtune, warm": lambda f=folder, p=precision: EmbeddingCache(f, p).encode(
                    encoder, texts, "document"
                ),
                "numpy, the same bytes": lambda f=folder: read_bytes(f),
            }
            content[precision]["in memory"] = interleaved(read)
            cold = {name: [] for name in read}
            for _ in range(5):
                for name_of, action in read.items():
                    drop(folder)
                    started = time.perf_counter()
                    action()
                    cold[name_of].append(round(time.perf_counter() - started, 3))
            medians = {name: statistics.median(values) for name, values in cold.items()}
            content[precision]["from disk"] = {"median_s": medians, "readings_s": cold}
    million = [f"short text {row}" for row in range(1_000_000)]
    content["keys of 1,000,000 texts"] = interleaved(
        {"dedupe and keys": lambda: text_keys(list(dict.fromkeys(million)))}
    )
    write_result(__file__, content)


if __name__ == "__main__":
    main()
