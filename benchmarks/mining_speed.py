"""How fast is mining with cached vectors, beside sentence-transformers' miner, and how much memory does it take?

python benchmarks/mining_speed.py: 2,000 queries × 20,000 documents of 384 dimensions, same rule, both miners
from vectors in memory and from their own cache on disk; rounds interleaved, medians of five. With --large: the peak
memory of mining 10,000 queries × 370,000 documents of 512 dimensions. Results go to mining_speed.json beside this file.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedtune.artifact import provenance
from embedtune.data.dataset import RetrievalDataset
from embedtune.mine.mining import mine_negatives
from embedtune.mine.options import MineOptions
from embedtune.models.cache import EmbeddingCache

ROUNDS = 5
SEED = 42
OPTIONS = MineOptions(depth=30, negatives=7, positive_share=0.95)
RESULT = Path(__file__).with_suffix(".json")

Vectors = npt.NDArray[np.float32]


class Given:
    """An encoder whose vectors are given, so that only mining is timed."""

    def __init__(self, texts: list[str], vectors: Vectors) -> None:
        self.rows = {text: row for row, text in enumerate(texts)}
        self.vectors = vectors
        self.dim = vectors.shape[1]
        self.cache_key = {"weights": "given", "dim": self.dim}

    def prompt(self, kind: str) -> str:
        """Returns no prompt."""
        return ""

    def encode(self, texts: list[str], kind: str) -> Vectors:
        """Returns the texts' vectors."""
        return self.vectors[[self.rows[text] for text in texts]]


def unit(vectors: Vectors) -> Vectors:
    """Returns vectors of length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def make_data(query_count: int, document_count: int, dim: int) -> tuple[RetrievalDataset, Given]:
    """Returns queries each with a positive at a cosine of about 0.7, among documents in clusters."""
    generator = np.random.default_rng(SEED)
    centres = generator.standard_normal((200, dim), dtype=np.float32)
    documents = centres[generator.integers(0, len(centres), document_count)]
    documents += generator.standard_normal((document_count, dim), dtype=np.float32)
    documents = unit(documents)
    queries = unit(documents[:query_count] + unit(generator.standard_normal((query_count, dim), dtype=np.float32)))
    words = generator.integers(0, 30_000, (document_count, 60))
    corpus = {f"d{i}": " ".join(map(str, row)) for i, row in enumerate(words.tolist())}
    asked = {f"q{i}": f"query {i}" for i in range(query_count)}
    dataset = RetrievalDataset(
        queries=asked,
        corpus=corpus,
        relevant_docs={f"q{i}": [f"d{i}"] for i in range(query_count)},
        queries_split={"train": list(asked)},
    )
    return dataset, Given([*corpus.values(), *asked.values()], np.concatenate([documents, queries]))


def contestants(dataset: RetrievalDataset, encoder: Given, folder: str) -> dict[str, Callable[[], dict[str, set[str]]]]:
    """Returns name → a miner that gives query id → negatives."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from sentence_transformers.util import mine_hard_negatives
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    static = StaticEmbedding(Tokenizer(WordLevel({"a": 0}, unk_token="a")), embedding_dim=encoder.dim)  # noqa: S106
    model = SentenceTransformer(modules=[static], device="cpu")
    model.encode_document = lambda texts, **_: encoder.encode(texts, "document")
    model.encode_query = lambda texts, **_: encoder.encode(texts, "query")
    positives = [dataset.corpus[dataset.positives(query_id)[0]] for query_id in dataset.queries]
    pairs = Dataset.from_dict({"query": list(dataset.queries.values()), "positive": positives})
    id_of_query = {text: query_id for query_id, text in dataset.queries.items()}
    id_of_document = {text: document_id for document_id, text in dataset.corpus.items()}

    def theirs(**options: Any) -> dict[str, set[str]]:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            mined = mine_hard_negatives(
                pairs,
                model,
                corpus=list(dataset.corpus.values()),
                range_max=OPTIONS.depth,
                relative_margin=1 - OPTIONS.positive_share,
                num_negatives=OPTIONS.negatives,
                output_format="n-tuple",
                verbose=False,
                **options,
            )
        columns = [mined[f"negative_{i}"] for i in range(1, OPTIONS.negatives + 1)]
        rows = zip(mined["query"], *columns, strict=True)
        return {id_of_query[query]: {id_of_document[text] for text in texts} for query, *texts in rows}

    def ours(cache: EmbeddingCache) -> dict[str, set[str]]:
        report = mine_negatives(dataset, encoder, cache=cache, options=OPTIONS)
        return {query_id: set(documents) for query_id, documents in report.negatives.items()}

    return {
        "embedtune": lambda: ours(EmbeddingCache(None)),
        "embedtune, cache on disk": lambda: ours(EmbeddingCache(f"{folder}/ours")),
        "sentence-transformers": theirs,
        "sentence-transformers, FAISS": lambda: theirs(use_faiss=True),
        "sentence-transformers, cache on disk": lambda: theirs(cache_folder=f"{folder}/theirs"),
    }


def measure_speed() -> dict[str, Any]:
    """Returns medians in seconds, ratios, and how many of the negatives are the same."""
    dataset, encoder = make_data(2_000, 20_000, 384)
    with tempfile.TemporaryDirectory() as folder:
        miners = contestants(dataset, encoder, folder)
        seconds: dict[str, list[float]] = {name: [] for name in miners}
        for _ in range(ROUNDS + 1):
            found = {}
            for name, mine in miners.items():
                started = time.perf_counter()
                found[name] = mine()
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    mine, theirs = found["embedtune"], found["sentence-transformers"]
    same = sum(len(mine[query_id] & theirs[query_id]) for query_id in theirs)
    return {
        "queries": len(dataset.queries),
        "documents": len(dataset.corpus),
        "dim": encoder.dim,
        "median_s": {name: round(value, 4) for name, value in medians.items()},
        "ratio": round(medians["sentence-transformers"] / medians["embedtune"], 2),
        "ratio_faiss": round(medians["sentence-transformers, FAISS"] / medians["embedtune"], 2),
        "ratio_on_disk": round(
            medians["sentence-transformers, cache on disk"] / medians["embedtune, cache on disk"], 2
        ),
        "queries_both_mined": len(theirs),
        "same_negatives": f"{same} of {sum(map(len, theirs.values()))}",
    }


def peak_mb() -> int:
    """Returns the most memory that this process held since its peak was begun anew."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return round(int(kilobytes) * 1024 / 1e6)


def measure_memory() -> dict[str, Any]:
    """Returns the seconds and the memory of the large case: with texts and vectors made, and at most while mining."""
    dataset, encoder = make_data(10_000, 370_000, 512)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # begins the peak anew (Linux)
    before = peak_mb()
    started = time.perf_counter()
    report = mine_negatives(dataset, encoder, options=OPTIONS)
    return {
        "queries": len(dataset.queries),
        "documents": len(dataset.corpus),
        "dim": encoder.dim,
        "seconds": round(time.perf_counter() - started, 1),
        "vectors_mb": round(encoder.vectors.nbytes / 1e6),
        "before_mb": before,
        "peak_mb": peak_mb(),
        "negatives": sum(len(documents) for documents in report.negatives.values()),
    }


def main() -> None:
    """Measures one of the two and keeps the other's last result."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    content = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    part = "memory" if "--large" in sys.argv else "speed"
    measured = measure_memory() if part == "memory" else measure_speed()
    content[part] = measured | {"rounds": ROUNDS, "seed": SEED, "commit": commit.stdout.strip()} | provenance()
    text = json.dumps(content, indent=1) + "\n"
    RESULT.write_text(text, encoding="utf-8")
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
