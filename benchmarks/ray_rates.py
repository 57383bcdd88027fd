"""What does a worker of the engine ray do in a second: encode, write and read shards, search, merge?

    python benchmarks/ray_rates.py SHARED_DATA

Processor time of one thread, by the worker's own functions, without a cluster: the least of the rounds, encoding
once. Writes ray_rates.json.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from embedtune.data.dataset import RetrievalDataset
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.shard import read_shard, shard_url, write_shard
from embedtune.search.merging import merge_found
from embedtune.search.vector_index import FoundRows, VectorIndex
from measuring import SEED, unit_vectors, write_result

TEXTS, DOCUMENTS, DIM, QUERIES = 200, 10_000, 384, 1_000


def processor_s(work: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """Returns the least processor seconds of the rounds, and what the last one gave."""
    seconds, given = [], None
    for _ in range(rounds):
        started = time.process_time()
        given = work()
        seconds.append(time.process_time() - started)
    return round(min(seconds), 4), given


def encoding(shared: Path) -> dict[str, Any]:
    """Returns the rate of encoding SciFact's documents."""
    corpus = list(RetrievalDataset.read(shared / "scifact" / "dataset.json").corpus.values())
    texts = corpus[:: len(corpus) // TEXTS]
    encoder = load_encoder("minilm", EncoderOptions())
    encoder.encode(texts[:4], "document")
    seconds, _ = processor_s(lambda: encoder.encode(texts, "document"), 1)
    characters = round(sum(map(len, texts)) / len(texts))
    rate = round(len(texts) / seconds, 1)
    return {"how": str(encoder), "texts": len(texts), "mean_characters": characters, "documents_per_cpu_second": rate}


def main() -> None:
    """Measures each and writes them."""
    torch.set_num_threads(1)
    generator = np.random.default_rng(SEED)
    vectors = unit_vectors(DOCUMENTS, DIM, generator)
    block = {f"document-{row:09}": f"text {row}" for row in range(DOCUMENTS)}
    ids = list(block)
    content: dict[str, Any] = {"encode": encoding(Path(sys.argv[1]))}
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("float32", "float16"):
            stored = vectors.astype(precision)
            url = shard_url(folder, {"dtype": precision}, block)
            writing, _ = processor_s(lambda url=url, stored=stored: write_shard(url, block, stored, {}), 2)
            reading, _ = processor_s(lambda url=url: read_shard(url), 2)
            rates = {"write_cpu_seconds": writing, "read_and_check_cpu_seconds": reading}
            size = {"documents": DOCUMENTS, "dim": DIM, "bytes_per_document": Path(url).stat().st_size / DOCUMENTS}
            content[f"shard_{precision}"] = size | rates
    names = dict(enumerate([*ids, *(f"x{name}" for name in ids)]))
    for top_k in (10, 100):
        queries = unit_vectors(QUERIES, DIM, generator)
        index = VectorIndex(vectors, ids)
        searching, found = processor_s(lambda i=index, q=queries, k=top_k: i.search_rows(q, k), 2)
        other = FoundRows(found.rows + DOCUMENTS, found.scores * np.float32(0.99))
        merging, _ = processor_s(lambda one=found, two=other, k=top_k: merge_found([one, two], names, k), 3)
        content[f"search_{QUERIES}_queries_top_{top_k}"] = {
            "documents": DOCUMENTS,
            "dim": DIM,
            "cpu_seconds_per_block": searching,
            "merge_cpu_seconds_per_block": merging,
            "bytes_of_result": QUERIES * top_k * 12,
        }
    write_result(__file__, content)


if __name__ == "__main__":
    main()
