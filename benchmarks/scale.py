"""How long would exact candidates for 10,000 queries take among 100 million documents?

    python benchmarks/scale.py SHARED_DATA   measures, about a minute and a half of one core, then simulates
    python benchmarks/scale.py               simulates from the times in scale.json

Measured on one thread: the exact top 100 of 10,000 queries in a block of documents that is mapped from
a file, merging two such results, and cutting SciFact's documents into tokens. Simulated: workers of one
core each take the next block when they are free and merge what they find into their own best; at the end
their results are merged one after another. A block's time is drawn from the measured ones: processor time
stands for a core of one's own, wall time for a core shared with as much other work as there was here, which
is where stragglers come from. "A quiet core" takes the readings of search_speed.json (the same search, two
cores, nothing else on the machine), brought to the block's size and dimensions. Nothing is read over a
network. Writes scale.json.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from heapq import heapify, heapreplace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from embedtune.search.merging import merge_found
from embedtune.search.vector_index import FoundRows, VectorIndex
from measuring import SEED, unit_vectors, write_result

QUERIES, DIM, TOP_K = 10_000, 384, 100
BLOCKS = (
    ("100,000 float32", 100_000, "f4", 6),
    ("100,000 float16", 100_000, "f2", 3),
    ("370,000 float32", 370_000, "f4", 1),
)
MERGES = 4
TEXTS = 500
DOCUMENTS = 100_000_000
WORKERS = (1, 8, 64)
ROUNDS = 200
KINDS = {"a quiet core": "quiet_s", "its own core here": "processor_s", "a shared core here": "wall_s"}

Times = Mapping[str, Sequence[float]]


def timed(action: Callable[[], Any], rounds: int) -> dict[str, list[float]]:
    """Returns processor and wall seconds of each round."""
    times: dict[str, list[float]] = {"processor_s": [], "wall_s": []}
    for _ in range(rounds):
        wall, processor = time.perf_counter(), time.process_time()
        action()
        times["processor_s"].append(round(time.process_time() - processor, 3))
        times["wall_s"].append(round(time.perf_counter() - wall, 3))
        print(f"{times['processor_s'][-1]} s, {times['wall_s'][-1]} s on the clock", flush=True)
    return times


def tokenising(shared: Path) -> dict[str, Any]:
    """Returns how many tokens of SciFact's documents, cut at 256, one thread makes in a second."""
    from embedtune.data.dataset import RetrievalDataset
    from embedtune.models.encoder import EncoderOptions
    from embedtune.models.sentence_transformer import load_model

    texts = list(RetrievalDataset.read(shared / "scifact" / "dataset.json").corpus.values())[:TEXTS]
    tokenizer = load_model("minilm", EncoderOptions()).tokenizer
    made = tokenizer(texts, truncation=True, max_length=256)["input_ids"]
    times = timed(lambda: tokenizer(texts, truncation=True, max_length=256), 3)
    return times | {"tokens": sum(map(len, made)), "texts": len(texts)}


def measure(shared: Path) -> dict[str, Any]:
    """Returns the times of each kind of block, of a merge and of tokenising."""
    torch.set_num_threads(1)
    tokens = tokenising(shared)
    generator = np.random.default_rng(SEED)
    queries = unit_vectors(QUERIES, DIM, generator)
    most = max(size for _, size, _, _ in BLOCKS)
    vectors = unit_vectors(most, DIM, generator)
    ids = [str(row) for row in range(2 * most)]
    blocks: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, size, dtype, rounds in BLOCKS:
            path = Path(folder) / "block.npy"
            np.save(path, vectors[:size].astype(dtype))
            mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r")
            print(name, flush=True)
            index = VectorIndex(mapped, ids[:size])
            blocks[name] = {"documents": size} | timed(lambda index=index: index.search_rows(queries, TOP_K), rounds)
    found = FoundRows(
        generator.integers(0, most, (QUERIES, TOP_K)),
        -np.sort(-generator.random((QUERIES, TOP_K), dtype=np.float32), axis=1),
    )
    other = FoundRows(found.rows + most, found.scores - np.float32(0.001))
    print("merge", flush=True)
    return {
        "tokenising": tokens,
        "blocks": blocks,
        "merge": timed(lambda: merge_found([found, other], ids, TOP_K), MERGES),
    }


def run_once(generator: np.random.Generator, blocks: int, workers: int, block: Times, merge: Times, kind: str) -> float:
    """Returns the seconds of one simulated run."""
    times = generator.choice(block[kind], blocks) + generator.choice(merge[kind], blocks)
    free = [0.0] * min(workers, blocks)
    heapify(free)
    for seconds in times.tolist():
        heapreplace(free, free[0] + seconds)
    last = 0.0
    for ready in sorted(free):  # the merges at the end, one after another as workers finish
        last = max(last, ready) + float(generator.choice(merge[kind]))
    return last


def quiet_times(documents: int) -> list[float]:
    """Returns core-seconds of a block from the quiet readings: by multiplications, on as many cores as there were."""
    search = json.loads(Path(__file__).with_name("search_speed.json").read_text(encoding="utf-8"))
    mapped = search["parts"]["mapped"]
    share = documents * DIM * QUERIES / (search["documents"] * search["dim"] * mapped["queries"])
    return [seconds * search["hardware"]["cores"] * share for seconds in mapped["readings_s"]["memory map"]]


def simulate(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns for each kind of block, core and number of workers the median of the runs and what 95 % lie between."""
    rows = []
    measured = dict(measured) | {"merge": measured["merge"] | {"quiet_s": measured["merge"]["processor_s"]}}
    for name, block in measured["blocks"].items():
        if "float32" in name:  # as the quiet readings were
            block = block | {"quiet_s": quiet_times(block["documents"])}
        count = -(-DOCUMENTS // block["documents"])
        for kind, field in KINDS.items():
            if field not in block:
                continue
            for workers in WORKERS:
                generator = np.random.default_rng(SEED)
                runs = [run_once(generator, count, workers, block, measured["merge"], field) for _ in range(ROUNDS)]
                low, median, high = np.quantile(runs, (0.025, 0.5, 0.975))
                even = sum(np.mean(part[field]) for part in (block, measured["merge"])) * count / workers
                rows.append(
                    {
                        "block": name,
                        "core": kind,
                        "workers": workers,
                        "blocks": count,
                        "median_s": round(float(median)),
                        "interval_s": [round(float(low)), round(float(high))],
                        "over_even_share": round(float(median / even - 1), 4),
                    }
                )
    return rows


def main() -> None:
    """Measures where it is given the collections, simulates, and writes both."""
    path = Path(__file__).with_suffix(".json")
    if len(sys.argv) > 1:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        measured = measure(Path(sys.argv[1])) | {"load": [round(one, 1) for one in os.getloadavg()]}
    else:
        content = json.loads(path.read_text(encoding="utf-8"))
        measured = {name: content[name] for name in ("tokenising", "blocks", "merge", "load")}
    settings = {"queries": QUERIES, "dim": DIM, "top_k": TOP_K, "documents": DOCUMENTS, "rounds": ROUNDS}
    write_result(__file__, settings | measured | {"simulated": simulate(measured)})


if __name__ == "__main__":
    main()
