"""How many samples a second does training take in, beside sentence-transformers' own trainer?

    python benchmarks/train_speed.py SHARED_DATA [PART ...]

A part is TEXTS-BATCHxNEGATIVES-PRECISION, such as docstrings-32x1-float32; without any, all of PARTS.
The peer is SentenceTransformerTrainer with MultipleNegativesRankingLoss and its defaults; bfloat16 is
its autocast. Both train the same examples on the CPU: short trainings take turns, the first step of each is
left out, the others give the median. Each part is written to benchmarks/train_speed.json when it is
done; the other parts stay.
"""

from __future__ import annotations

import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch.optim.optimizer import register_optimizer_step_post_hook
from transformers import PrinterCallback

from embedtune.data.converters.docstrings import DocstringOptions, convert
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.training_set import TrainingSet
from embedtune.models.encoder import EncoderOptions
from embedtune.packaged import minilm_folder
from embedtune.train.training import TrainOptions, train
from measuring import SEED, write_result

PARTS = tuple(
    f"{texts}-{size}-{precision}"
    for texts, size in (("docstrings", "32x1"), ("docstrings", "8x7"), ("scifact", "32x1"))
    for precision in ("float32", "bfloat16")
)
PEER = "sentence-transformers trainer"
DROPOUT, DEFAULT = "embedtune, the model's dropout", "embedtune, no dropout (default)"
ROUNDS = 2
STEPS = 4
"""Steps of one training: the first warms up, the others count."""

Examples = list[tuple[str, list[str]]]
"""Query texts, and for each its positive followed by its negatives."""


def examples(shared: Path, name: str, count: int, negatives: int) -> Examples:
    """Returns some of a collection's training examples, no document twice; negatives are random documents."""
    if name == "docstrings":
        dataset = convert(None, DocstringOptions())
    else:
        dataset = RetrievalDataset.read(shared / name / "dataset.json")
    generator = random.Random(SEED)
    pairs = [(query, next(iter(found))) for query, found in dataset.relevant_docs.items() if found]
    chosen: dict[str, str] = {}
    for query, document in generator.sample(pairs, len(pairs)):
        if len(chosen) < count:
            chosen.setdefault(document, query)
    others = generator.sample(sorted(set(dataset.corpus) - set(chosen)), count * negatives)
    return [
        (dataset.queries[query], [dataset.corpus[d] for d in (document, *others[i * negatives : (i + 1) * negatives])])
        for i, (document, query) in enumerate(chosen.items())
    ]


@contextmanager
def clock() -> Iterator[list[float]]:
    """Yields a list that gets the time at the end of each optimizer step in the block."""
    ends: list[float] = []
    handle = register_optimizer_step_post_hook(lambda *_: ends.append(time.perf_counter()))
    try:
        yield ends
    finally:
        handle.remove()


def step_seconds(ends: list[float]) -> list[float]:
    """Returns how long each step but the first took."""
    if len(ends) != STEPS:
        raise SystemExit(f"expected {STEPS} steps, found {len(ends)}")
    return [round(later - earlier, 4) for earlier, later in pairwise(ends)]


def peer(data: Examples, batch_size: int, precision: str) -> list[float]:
    """Trains with sentence-transformers as it comes; returns seconds a step."""
    columns = {"anchor": [query for query, _ in data]}
    for number in range(len(data[0][1])):
        columns[f"document_{number}"] = [documents[number] for _, documents in data]
    model = SentenceTransformer(str(minilm_folder()), device="cpu")
    with tempfile.TemporaryDirectory() as scratch, clock() as ends:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=scratch,
            num_train_epochs=1,
            per_device_train_batch_size=batch_size,
            bf16=precision == "bfloat16",
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = SentenceTransformerTrainer(
            model, arguments, Dataset.from_dict(columns), loss=MultipleNegativesRankingLoss(model)
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return step_seconds(ends)


def ours(data: Examples, batch_size: int, precision: str, dropout: bool) -> list[float]:
    """Trains with embedtune's `train`; returns seconds a step."""
    queries = {f"q{i}": query for i, (query, _) in enumerate(data)}
    corpus = {f"d{i}-{j}": text for i, (_, documents) in enumerate(data) for j, text in enumerate(documents)}
    negatives = {f"q{i}": [f"d{i}-{j}" for j in range(1, len(data[0][1]))] for i in range(len(data))}
    splits = {"train": list(queries), "val": ["q0"]}
    dataset = RetrievalDataset(queries, corpus, {f"q{i}": [f"d{i}-0"] for i in range(len(data))}, queries_split=splits)
    training_set = TrainingSet.build(dataset, "train", negatives, len(data[0][1]) - 1)
    options = TrainOptions(
        epochs=1, batch_size=batch_size, dropout=dropout, validations=1, val_split="val", val_max_documents=100
    )
    with tempfile.TemporaryDirectory() as scratch, clock() as ends:
        encoder_options = EncoderOptions(precision=precision, device="cpu")
        train(training_set, "minilm", Path(scratch) / "m", options=options, encoder_options=encoder_options)
    return step_seconds(ends)


def measure(shared: Path, part: str) -> dict[str, Any]:
    """Returns the median seconds of a step, all readings, samples a second and the ratios to the peer."""
    texts, batch_size, negatives, precision = re.fullmatch(r"(\w+)-(\d+)x(\d+)-(\w+)", part).groups()
    size = int(batch_size)
    data = examples(shared, texts, STEPS * size, int(negatives))
    contestants: dict[str, Callable[[], list[float]]] = {
        PEER: lambda: peer(data, size, precision),
        DROPOUT: lambda: ours(data, size, precision, True),
        DEFAULT: lambda: ours(data, size, precision, False),
    }
    readings: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, contestant in contestants.items():
            fresh = contestant()
            readings[name] += fresh
            print(part, name, fresh, flush=True)
    medians = {name: statistics.median(seconds) for name, seconds in readings.items()}
    rates = {name: round(size / seconds, 2) for name, seconds in medians.items()}
    ratios = {name: round(medians[PEER] / seconds, 2) for name, seconds in medians.items()}
    return {"median_s": medians, "readings_s": readings, "samples_per_s": rates, "ratio": ratios}


def main() -> None:
    """Measures the parts asked for and writes the result."""
    shared, wanted = Path(sys.argv[1]), sys.argv[2:] or list(PARTS)
    path = Path(__file__).with_suffix(".json")
    parts = json.loads(path.read_text(encoding="utf-8"))["parts"] if path.exists() else {}
    for part in wanted:
        parts[part] = measure(shared, part)
        write_result(__file__, {"threads": torch.get_num_threads(), "parts": parts})


if __name__ == "__main__":
    main()
