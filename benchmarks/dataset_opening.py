"""How do 370,000 short documents (400 MB of JSON) open, as Parquet, and as Arrow mapped into memory?

    python benchmarks/dataset_opening.py SHARED_DATA

As dataset_scale.py, with shorter documents and medians of five. Writes dataset_opening.json.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import dataset_scale
from embedtune.data.dataset import RetrievalDataset
from measuring import ROUNDS, SEED, write_result

SENTENCES = 8
RANDOM = dataset_scale.VARIANTS["embedtune, Parquet, 1,000 random texts"]
ALL_TEXTS = dataset_scale.VARIANTS["embedtune, Parquet, all texts once"]
VARIANTS = {
    "json module": dataset_scale.VARIANTS["json module"],
    "embedtune, JSON": dataset_scale.VARIANTS["embedtune, JSON"],
    "embedtune, Parquet opened": dataset_scale.VARIANTS["embedtune, Parquet opened"],
    "embedtune, Parquet, 1,000 random texts": RANDOM,
    "embedtune, Parquet, all texts once": ALL_TEXTS,
    "embedtune, Arrow opened": "d = R.read(OUT); n = len(d.corpus)",
    "embedtune, Arrow, 1,000 random texts": RANDOM.replace("FOLDER", "OUT"),
    "embedtune, Arrow, all texts once": ALL_TEXTS.replace("FOLDER", "OUT"),
}


def main() -> None:
    """Makes the dataset, measures every variant in turn, writes the result."""
    dataset_scale.VARIANTS.update(VARIANTS)
    with tempfile.TemporaryDirectory() as name:
        made, folder, arrow = Path(name) / "made.json", Path(name) / "made", Path(name) / "made.arrow"
        sentences = dataset_scale.read_sentences(Path(sys.argv[1]))
        dataset_scale.sample_dataset(sentences, dataset_scale.DOCUMENTS, SENTENCES, seed=SEED).write(folder)
        dataset = RetrievalDataset.read(folder)
        dataset.write(made)
        dataset.write(arrow)
        del dataset
        content = {
            "documents": dataset_scale.DOCUMENTS,
            "json_mb": made.stat().st_size / 1e6,
            "parquet_mb": sum(file.stat().st_size for file in folder.iterdir()) / 1e6,
            "arrow_mb": sum(file.stat().st_size for file in arrow.iterdir()) / 1e6,
        }
        found: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
        for _ in range(ROUNDS):
            for variant, results in found.items():
                results.append(dataset_scale.measured(variant, [str(made), str(folder), str(arrow)]))
                print(variant, results[-1], flush=True)
    medians = {
        variant: {key: round(statistics.median(one[key] for one in results), 3) for key in ("seconds", "peak_mb")}
        | {"runs": len(results)}
        for variant, results in found.items()
    }
    write_result(__file__, content | {"medians": medians})


if __name__ == "__main__":
    main()
