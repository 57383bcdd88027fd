"""Measures BM25, all-MiniLM-L6-v2 and their fusion on every real collection, through the command line.

python benchmarks/baselines.py COLLECTIONS, where COLLECTIONS is a folder of folders that hold
dataset.json (and qrels.json where judgements are graded). Writes baselines.json beside this
file and the table in docs/baselines.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from embedtune.artifact import provenance

HERE = Path(__file__).parent
TABLE = HERE.parent / "docs" / "baselines.md"
SYSTEMS: dict[str, tuple[str, ...]] = {
    "bm25": ("--retriever", "bm25"),
    "minilm": ("--encoder", "minilm"),
    "hybrid": ("--encoder", "minilm", "--retriever", "hybrid"),
}
ALL_QUERIES = {"med-1033"}
FLOAT32 = {"scifact"}
PUBLISHED = {"scifact": 0.6451}
HEADER = """# Baselines

`ndcg_at_10` of BM25, all-MiniLM-L6-v2 (`--encoder minilm`) and both fused (`--retriever hybrid`) on
the team's real test collections, measured through `embedtune eval` by `benchmarks/baselines.py`;
every measure is in `benchmarks/baselines.json`. The collections aren't in the repository.

| collection | split | queries | documents | precision | BM25 | MiniLM | hybrid |
|---|---|---|---|---|---|---|---|
"""
FOOTER = """
- SciFact: the published `ndcg_at_10` of all-MiniLM-L6-v2 is 0.6451 (MTEB); ours is {scifact:.5f}.
- Judgements of cranfield and cystic-fibrosis are graded (`--qrels`); med-1033 has so few queries that all are used.
- all-MiniLM-L6-v2 was trained on English. Its figures on Chinese collections (cmrc2018, drcd, dureader-demo-zh,
  rgb-zh-news, toyhom-med-zh, xquad-zh) say what happens when a model meets the wrong language, no more: there, BM25
  with Chinese segmentation is the baseline, and fusing it with a model that can't read makes it worse.
- Several collections are saturated for BM25 (cmrc2018, drcd, pubmedqa-l, xquad): they are smoke tests.
"""


def evaluate(folder: Path, system: str, cache: str) -> dict[str, float]:
    """Returns the means that `embedtune eval` prints for one collection and system."""
    words = [sys.executable, "-m", "embedtune", "eval", str(folder / "dataset.json"), *SYSTEMS[system]]
    words += ["--split", split_of(folder.name), "--cache-dir", cache]
    if (folder / "qrels.json").exists():
        words += ["--qrels", str(folder / "qrels.json")]
    if folder.name in FLOAT32:
        words += ["--precision", "float32"]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True)
    means: dict[str, float] = json.loads(done.stdout)
    return means


def split_of(name: str) -> str:
    """Returns the split that is measured."""
    return "all" if name in ALL_QUERIES else "test"


def row(folder: Path, results: dict[str, dict[str, float]]) -> str:
    """Returns one line of the table."""
    dataset: dict[str, Any] = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    split = split_of(folder.name)
    queries = len(dataset["queries"]) if split == "all" else len(dataset["queries_split"][split])
    precision = "float32" if folder.name in FLOAT32 else "auto"
    values = " | ".join(f"{results[system]['ndcg_at_10']:.4f}" for system in SYSTEMS)
    return f"| {folder.name} | {split} | {queries} | {len(dataset['corpus'])} | {precision} | {values} |\n"


def main() -> None:
    """Measures every collection and writes the table."""
    folders = sorted(path.parent for path in Path(sys.argv[1]).glob("*/dataset.json"))
    results = {}
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for folder in folders:
            results[folder.name] = {system: evaluate(folder, system, cache) for system in SYSTEMS}
            rows.append(row(folder, results[folder.name]))
            print(rows[-1], end="", flush=True)
    content = {"collections": results} | provenance()
    (HERE / "baselines.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    footer = FOOTER.format(scifact=results["scifact"]["minilm"]["ndcg_at_10"])
    TABLE.write_text(HEADER + "".join(rows) + footer, encoding="utf-8")


if __name__ == "__main__":
    main()
