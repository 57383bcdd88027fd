"""How long do the checks take on 100,000 documents, without an encoder?

    python benchmarks/check_speed.py SHARED_DATA

SHARED_DATA is the folder of real collections; documents are made of their sentences. Writes
benchmarks/check_speed.json.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

from dataset_scale import read_sentences, sample_dataset
from embedtune.artifact import provenance
from embedtune.data.checks import check_dataset

DOCUMENTS = 100_000
SENTENCES = 21
RUNS = 3


def main() -> None:
    """Checks a sampled dataset a few times and writes how long it took."""
    sampled = sample_dataset(read_sentences(Path(sys.argv[1])), DOCUMENTS, SENTENCES, seed=42)
    dataset = replace(sampled, corpus=dict(sampled.corpus))
    seconds, codes = [], {}
    for _ in range(RUNS):
        started = time.perf_counter()
        findings = check_dataset(dataset)
        seconds.append(round(time.perf_counter() - started, 1))
        codes = {finding.code: len(finding.ids) for finding in findings}
        print(f"{seconds[-1]} s")
    result = {
        "documents": len(dataset.corpus),
        "queries": len(dataset.queries),
        "characters": sum(map(len, dataset.corpus.values())),
        "seconds": seconds,
        "median_s": statistics.median(seconds),
        "found": codes,
        "seed": 42,
    } | provenance()
    text = json.dumps(result, ensure_ascii=False, indent=2) + "\n"
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
