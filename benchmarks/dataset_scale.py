"""How long do 370,000 documents take to open, and how much memory, as JSON and as Parquet?

    python benchmarks/dataset_scale.py SHARED_DATA [DOCUMENTS]

SHARED_DATA is the folder of real collections; documents are made of their sentences, in a
temporary folder that is removed. Every reading is a process of its own, so that its peak memory
is its own; variants are interleaved, medians of three. Writes benchmarks/dataset_scale.json.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from embedtune.artifact import provenance
from embedtune.data.dataset import RetrievalDataset

DOCUMENTS = 370_000
SENTENCES = 21
QUERIES = 20_000
RUNS = 3
COLLECTIONS = ("scifact", "cmrc2018", "toyhom-med-zh", "drcd", "pubmedqa-l")

VARIANTS = {
    "json module": "import json; d = json.load(open(JSON, encoding='utf-8')); n = len(d['corpus'])",
    "embedtune, JSON": "d = R.read(JSON); n = len(d.corpus)",
    "embedtune, Parquet opened": "d = R.read(FOLDER); n = len(d.corpus)",
    "embedtune, Parquet, 1,000 random texts": "import random; d = R.read(FOLDER); n = len(d.corpus);"
    " r = random.Random(0); t = [d.corpus[f'd{r.randrange(n)}'] for _ in range(1000)]",
    "embedtune, Parquet, all texts once": "d = R.read(FOLDER); n = sum(1 for t in d.corpus.values())",
    "embedtune, JSON → JSON split by document": "from embedtune.data.splits import *; d = R.read(JSON);"
    " split_dataset(d, SplitOptions()).dataset.write(OUT + '.json'); n = len(d.corpus)",
    "embedtune, Parquet → Parquet split by document": "from embedtune.data.splits import *; d = R.read(FOLDER);"
    " split_dataset(d, SplitOptions()).dataset.write(OUT); n = len(d.corpus)",
}
MEASURE = """
import sys, time
JSON, FOLDER, OUT = sys.argv[1:]
def memory(name):
    return next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith(name))
from embedtune.data.dataset import RetrievalDataset as R
import embedtune.data.json_format, embedtune.data.table_folder
before = memory('VmRSS')
started = time.perf_counter()
{work}
seconds = time.perf_counter() - started
print(seconds, n, before, memory('VmHWM'))
"""


class SampledTexts(Mapping[str, str]):
    """Documents of randomly chosen sentences, made when asked for and always the same."""

    def __init__(self, sentences: list[list[str]], count: int, length: int, seed: int) -> None:
        self._sentences, self._count, self._length, self._seed = sentences, count, length, seed

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return (f"d{number}" for number in range(self._count))

    def __getitem__(self, document_id: str) -> str:
        number = int(document_id[1:])
        chooser = random.Random(self._seed * 1_000_003 + number)
        return " ".join(chooser.choices(self._sentences[number % len(self._sentences)], k=self._length))


def read_sentences(shared: Path) -> list[list[str]]:
    """Returns the sentences of each collection."""
    collections = []
    for name in COLLECTIONS:
        corpus = json.loads((shared / name / "dataset.json").read_text(encoding="utf-8"))["corpus"]
        parts = (part for text in corpus.values() for part in re.split(r"(?<=[.。！？])\s*", text))
        collections.append([part for part in parts if 10 < len(part) < 400])
    return collections


def sample_dataset(sentences: list[list[str]], documents: int, length: int, seed: int) -> RetrievalDataset:
    """Returns a dataset whose queries begin as their own document does, in three splits."""
    corpus = SampledTexts(sentences, documents, length, seed)
    chooser = random.Random(seed)
    chosen = chooser.sample(range(documents), min(QUERIES, documents))
    queries = {f"q{number}": f"{corpus[f'd{number}'][:50]} {number}" for number in chosen}
    ids = list(queries)
    cut, end = len(ids) * 8 // 10, len(ids) * 9 // 10
    return RetrievalDataset(
        queries=queries,
        corpus=corpus,
        relevant_docs={query_id: [f"d{query_id[1:]}"] for query_id in ids},
        negative_docs={query_id: [f"d{chooser.randrange(documents)}"] for query_id in ids[:cut]},
        queries_split={"train": ids[:cut], "val": ids[cut:end], "test": ids[end:]},
    )


def measured(variant: str, paths: list[str]) -> dict[str, float]:
    """Returns seconds and added peak memory of one variant in a process of its own."""
    program = MEASURE.format(work=VARIANTS[variant])
    done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True)
    seconds, count, before, peak = map(float, done.stdout.split())
    return {"seconds": seconds, "count": count, "peak_mb": (peak - before) / 1024}


def main() -> None:
    """Makes the dataset, measures every variant, writes the result."""
    documents = int(sys.argv[2]) if len(sys.argv) > 2 else DOCUMENTS
    with tempfile.TemporaryDirectory() as name:
        made, folder, out = Path(name) / "made.json", Path(name) / "made", Path(name) / "out"
        sample_dataset(read_sentences(Path(sys.argv[1])), documents, SENTENCES, seed=42).write(folder)
        dataset = RetrievalDataset.read(folder)
        dataset.write(made)
        sizes = {"json_mb": made.stat().st_size / 1e6}
        sizes["parquet_mb"] = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        characters = sum(map(len, dataset.corpus.values()))
        del dataset
        found: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
        for run in range(RUNS):
            for variant, results in found.items():
                if run == 0 or "split" not in variant:
                    results.append(measured(variant, [str(made), str(folder), str(out)]))
                    print(variant, results[-1], flush=True)
                shutil.rmtree(out, ignore_errors=True)
    medians = {
        variant: {key: round(statistics.median(one[key] for one in results), 3) for key in ("seconds", "peak_mb")}
        | {"runs": len(results)}
        for variant, results in found.items()
    }
    content = {"documents": documents, "characters": characters} | sizes | {"medians": medians, "seed": 42}
    text = json.dumps(content | provenance(), ensure_ascii=False, indent=2) + "\n"
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
