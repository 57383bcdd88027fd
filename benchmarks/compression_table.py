"""Bytes a vector against ndcg_at_10: float32, float16, int8, bits, and fewer dimensions, on real collections.

python -m benchmarks.compression_table COLLECTIONS CHINESE [--cache FOLDER], where COLLECTIONS holds scifact and
cmrc2018, and CHINESE is what benchmarks/chinese_encoder.py wrote. Writes compression_table.json beside this file and
the table between the marks in docs/publishing.md.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from benchmarks.measuring import write_result

from embedtune import EmbeddingCache, RetrievalDataset, load_encoder, progress
from embedtune.export.compression import CompressionTable, measure_compression
from embedtune.export.vector_options import CompressionOptions

PAGE = Path(__file__).parents[1] / "docs" / "publishing.md"
MARKED = re.compile(r"(<!-- compression_table\.py -->\n).*?(<!-- end -->)", re.DOTALL)
SPLIT = "test"


def lines_of(name: str, table: CompressionTable) -> list[str]:
    """Returns one table of the page."""
    lines = [
        f"{name}: {table.documents:,} documents, {table.queries:,} queries of {table.split}, {table.dim} dimensions.",
        "",
        "| vectors | bytes searched | bytes only for rescoring | `ndcg_at_10` | minus float32 | 95 % interval |",
        "|---|---|---|---|---|---|",
    ]
    for row in table.rows:
        low, high = row.interval
        lines.append(
            f"| {row.name} | {row.bytes_searched:,} | {row.bytes_rescoring:,} | {row.ndcg_at_10:.4f} "
            f"| {row.difference:+.4f} | {low:+.4f} … {high:+.4f} |"
        )
    return [*lines, ""]


def main() -> None:
    """Measures both collections and writes the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("collections", type=Path)
    parser.add_argument("chinese")
    parser.add_argument("--cache", type=Path)
    given = parser.parse_args()
    cache = EmbeddingCache(given.cache)
    tables = {}
    for collection, encoder, name in (
        ("scifact", "minilm", "scifact, all-MiniLM-L6-v2"),
        ("cmrc2018", given.chinese, "cmrc2018, the small Chinese encoder"),
    ):
        dataset = RetrievalDataset.read(given.collections / collection / "dataset.json")
        options = CompressionOptions(split=SPLIT)
        tables[name] = measure_compression(load_encoder(encoder), dataset, options, cache=cache)
    write_result(__file__, {"tables": {name: table.to_json() for name, table in tables.items()}})
    text = "\n".join(line for name, table in tables.items() for line in lines_of(name, table))
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(MARKED.sub(lambda found: f"{found[1]}\n{text}\n{found[2]}", page), encoding="utf-8")


if __name__ == "__main__":
    with progress.shown():
        main()
