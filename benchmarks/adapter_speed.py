"""How long does an adapter take on 10,000 pairs whose vectors are cached? The bar is 60 s on two cores.

python benchmarks/adapter_speed.py. Random unit vectors of 384 dimensions stand for 20,000 documents, 10,000 training
queries with 4 negatives each and 1,000 val queries; results go to adapter_speed.json beside this file.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedtune.artifact import provenance
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.training_set import TrainingSet
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions
from embedtune.train.job import TrainingJob
from embedtune.train.job_vectors import JobVectors
from embedtune.train.map_training import train_map
from embedtune.train.methods.adapter import AdapterOptions

DOCUMENTS, TRAIN, VAL, DIM, NEGATIVES, SEED = 20_000, 10_000, 1_000, 384, 4, 42
SHAPES = ("linear", "low-rank", "hidden")


def unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Returns the rows at length 1, float32."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def make() -> JobVectors:
    """Returns vectors in which a query lies near its document, turned by a hidden rotation."""
    generator = np.random.default_rng(SEED)
    ids = [f"d{row}" for row in range(DOCUMENTS)]
    documents = unit(generator.standard_normal((DOCUMENTS, DIM)))
    turn, signs = np.linalg.qr(np.eye(DIM) + 0.06 * generator.standard_normal((DIM, DIM)))
    turn *= np.sign(np.diag(signs))
    rows = generator.integers(DOCUMENTS, size=TRAIN + VAL)
    queries = unit(documents[rows] @ turn + 0.08 * generator.standard_normal((TRAIN + VAL, DIM)))
    names = [f"q{row}" for row in range(TRAIN + VAL)]
    relevant = {name: [ids[row]] for name, row in zip(names, rows.tolist(), strict=True)}
    negatives = {name: [ids[row] for row in generator.integers(DOCUMENTS, size=NEGATIVES)] for name in names}
    texts = {document_id: document_id for document_id in ids}
    splits = {"train": names[:TRAIN], "val": names[TRAIN:]}
    dataset = RetrievalDataset({name: name for name in names}, texts, relevant, queries_split=splits)
    training_set = TrainingSet.build(dataset, "train", negatives, NEGATIVES)
    job = TrainingJob(training_set, "", Path("unused"), EncoderOptions(), EmbeddingCache(None), {}, {})
    return JobVectors(job, documents, names[:TRAIN], queries[:TRAIN], names[TRAIN:], queries[TRAIN:], {})


def main() -> None:
    """Measures every shape and writes the result."""
    vectors = make()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    found = {}
    for shape in SHAPES:
        started = time.perf_counter()
        trained = train_map(vectors, AdapterOptions(shape=shape))
        scores = [round(checkpoint.score, 4) for checkpoint in trained.checkpoints]
        found[shape] = {"seconds": round(time.perf_counter() - started, 1), "val_ndcg_at_10": scores}
        print(shape, found[shape], flush=True)
    sizes = {"documents": DOCUMENTS, "train": TRAIN, "val": VAL, "dim": DIM, "negatives": NEGATIVES, "epochs": 20}
    content = {"sizes": sizes, "shapes": found, "seed": SEED, "commit": commit.stdout.strip()} | provenance()
    Path(__file__).with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
