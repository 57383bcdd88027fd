"""Measures BM25 and the encoder of chinese_encoder.py, before and after its training, on the Chinese collections.

python benchmarks/chinese_encoder_figures.py COLLECTIONS BEFORE AFTER [collection ...], where BEFORE was built with
--steps 0 and AFTER with the same seed. Writes chinese_encoder.json beside this file, through `embedtune eval`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from embedtune.artifact import Artifact, provenance

CHINESE = ("cmrc2018", "toyhom-med-zh", "drcd", "rgb-zh-news", "dureader-demo-zh", "xquad-zh")


def ndcg_at_10(dataset: Path, split: str, cache: str, *system: str) -> float:
    """Returns what `embedtune eval` measures."""
    words = [sys.executable, "-m", "embedtune", "eval", str(dataset), *system, "--split", split, "--cache-dir", cache]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True)
    value: float = json.loads(done.stdout)["ndcg_at_10"]
    return round(value, 4)


def main() -> None:
    """Measures one collection after the other and writes the file after each."""
    collections, before, after = (Path(word) for word in sys.argv[1:4])
    encoder = dict(Artifact.open(after, "encoder").manifest["made_from"])
    systems = {
        "bm25": ("--retriever", "bm25"),
        "before": ("--encoder", str(before)),
        "after": ("--encoder", str(after)),
    }
    found: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as cache:
        for name in sys.argv[4:] or CHINESE:
            dataset = collections / name / "dataset.json"
            found[name] = {
                split: {system: ndcg_at_10(dataset, split, cache, *words) for system, words in systems.items()}
                for split in ("val", "test")
            }
            print(name, found[name], flush=True)
            content = {"measure": "ndcg_at_10", "encoder": encoder, "collections": found} | provenance()
            text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
            Path(__file__).with_name("chinese_encoder.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
