"""Writes the tables of docs/scale.md from encode_speed.json and scale.json: python benchmarks/scale_table.py.

A table stands between its marker and the next "<!-- end -->"; the words around it stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "scale.md"
SIZES = (10_000_000, 100_000_000)
TOKENS = 256
CORES_MEASURED = 2
PEAK_TFLOPS, SHARE = 100, 0.3


class Shape(NamedTuple):
    """An encoder of the BERT family."""

    name: str
    layers: int
    width: int

    @property
    def mflop(self) -> float:
        """Returns the MFLOP of a token in a text of TOKENS: projections, feed-forward (4 times as wide), attention."""
        projections, forward = 4 * self.width**2, 2 * self.width * 4 * self.width
        return self.layers * (2 * (projections + forward) + 4 * TOKENS * self.width) / 1e6


SHAPES = (
    Shape("all-MiniLM-L6-v2", 6, 384),
    Shape("bge-small-zh-v1.5", 4, 512),
    Shape("BERT base", 12, 768),
    Shape("BERT large", 24, 1024),
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def processor(encoding: Mapping[str, Any], scale: Mapping[str, Any]) -> str:
    """Returns core-hours at the measured rates."""
    rows = []
    for part, label in ((encoding["parts"]["speed"]["scifact"], ""), (encoding["parts"]["busy"], ", a core taken")):
        for name, rate in part["tokens_per_s"].items():
            each = rate / CORES_MEASURED
            hours = [f"{size * TOKENS / each / 3600:,.0f}" for size in SIZES]
            rows.append([name + label, f"{each:,.0f}", f"{each / TOKENS:.1f}", *hours])
    return table(["measured", "tokens/s a core", "documents/s a core", *heads("core-hours")], rows)


def heads(unit: str) -> list[str]:
    """Returns a head for each size."""
    return [f"{unit}, {size // 1_000_000} M" for size in SIZES]


def gpu(encoding: Mapping[str, Any], scale: Mapping[str, Any]) -> str:
    """Returns GPU-hours under the assumption, and the cores that have to tokenise beside one."""
    tokenising = scale["tokenising"]
    each = tokenising["tokens"] / min(tokenising["processor_s"])
    rows = []
    for shape in SHAPES:
        rate = PEAK_TFLOPS * 1e6 * SHARE / shape.mflop
        hours = [f"{size * TOKENS / rate / 3600:,.1f}" for size in SIZES]
        cells = [f"{shape.name}, {shape.layers} × {shape.width}", f"{shape.mflop:.1f}", f"{rate:,.0f}", *hours]
        rows.append([*cells, f"{rate / each:.1f}"])
    return table(["shape", "MFLOP a token", "tokens/s", *heads("GPU-hours"), "cores to tokenise"], rows)


def vectors(encoding: Mapping[str, Any], scale: Mapping[str, Any]) -> str:
    """Returns gigabytes of vectors."""
    rows = []
    for dim in (384, 512, 768, 1024):
        for size in SIZES:
            gigabytes = [f"{size * dim * width / 1e9:,.1f}" for width in (4, 2, 1, 1 / 8)]
            rows.append([str(dim), f"{size // 1_000_000} M", *gigabytes])
    return table(["dimensions", "documents", "float32, GB", "float16, GB", "int8, GB", "binary, GB"], rows)


def indexes(encoding: Mapping[str, Any], scale: Mapping[str, Any]) -> str:
    """Returns gigabytes of indexes."""
    kinds: dict[str, Callable[[int], float]] = {
        "flat, float32: 4 d": lambda dim: 4 * dim,
        "flat, float16: 2 d": lambda dim: 2 * dim,
        "HNSW over float32, M = 32: 4 d + 8 M": lambda dim: 4 * dim + 8 * 32,
        "IVF over float32: 4 d + 8": lambda dim: 4 * dim + 8,
        "IVF-PQ, d / 8 codes: d / 8 + 8": lambda dim: dim / 8 + 8,
    }
    rows = [
        [name, *(f"{size * bytes_of(dim) / 1e9:,.1f}" for dim in (384, 1024) for size in SIZES)]
        for name, bytes_of in kinds.items()
    ]
    places = [f"{dim} dimensions, {size // 1_000_000} M, GB" for dim in (384, 1024) for size in SIZES]
    return table(["index, bytes a vector", *places], rows)


def blocks(encoding: Mapping[str, Any], scale: Mapping[str, Any]) -> str:
    """Returns the measured times."""
    named = {f"exact top {scale['top_k']} in {name}": block for name, block in scale["blocks"].items()}
    rows = [
        [name, str(len(one["processor_s"])), spread(one["processor_s"]), spread(one["wall_s"])]
        for name, one in (named | {"merging two results": scale["merge"]}).items()
    ]
    return table(["10,000 queries, one thread", "rounds", "processor, s", "on the clock, s"], rows)


def spread(readings: Sequence[float]) -> str:
    """Returns the lowest reading, the median and the highest."""
    ordered = sorted(readings)
    if len(ordered) == 1:
        return f"{ordered[0]:.2f}"
    return f"{ordered[0]:.2f} … {median(ordered):.2f} … {ordered[-1]:.2f}"


def simulation(encoding: Mapping[str, Any], scale: Mapping[str, Any]) -> str:
    """Returns the simulated minutes."""
    rows = []
    for row in scale["simulated"]:
        low, high = (f"{seconds / 60:,.1f}" for seconds in row["interval_s"])
        minutes = [f"{row['median_s'] / 60:,.1f}", f"{low} … {high}"]
        rows.append([row["block"], row["core"], str(row["workers"]), *minutes, f"{row['over_even_share']:+.1%}"])
    return table(["blocks", "worker", "workers", "minutes, median", "95 % of runs", "over an even share"], rows)


def ray(encoding: Mapping[str, Any], scale: Mapping[str, Any]) -> str:
    """Returns what a worker of the engine ray needs for each part of its work, and core-hours."""
    rates = json.loads((HERE / "ray_rates.json").read_text(encoding="utf-8"))
    each = {f"encode, {rates['encode']['how']}": 1 / rates["encode"]["documents_per_cpu_second"]}
    for precision in ("float32", "float16"):
        shard = rates[f"shard_{precision}"]
        for name in ("write", "read_and_check"):
            seconds = shard[f"{name}_cpu_seconds"] / shard["documents"]
            each[f"{name.replace('_', ' ')} a shard, {precision}"] = seconds
    found = rates["search_1000_queries_top_100"]
    for name, field in (
        ("exact top 100 of 1,000 queries", "cpu_seconds_per_block"),
        ("merge it", "merge_cpu_seconds_per_block"),
    ):
        each[f"{name}, blocks of 10,000"] = found[field] / found["documents"]
    rows = [
        [name, f"{seconds * 1e6:,.1f}", *(f"{size * seconds / 3600:,.2f}" for size in SIZES)]
        for name, seconds in each.items()
    ]
    return table(["a worker's work", "µs a document", *heads("core-hours")], rows)


TABLES = {each.__name__: each for each in (processor, ray, gpu, vectors, indexes, blocks, simulation)}


def main() -> None:
    """Puts every table in its place."""
    encoding, scale = (
        json.loads((HERE / f"{name}.json").read_text(encoding="utf-8")) for name in ("encode_speed", "scale")
    )
    text = PAGE.read_text(encoding="utf-8")
    for name, make in TABLES.items():
        pattern = rf"(<!-- scale_table.py {name} -->\n).*?(<!-- end -->)"
        filled = f"\n{make(encoding, scale)}\n"
        text, count = re.subn(pattern, lambda found, new=filled: found[1] + new + found[2], text, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"{PAGE} has {count} places for the table {name!r}")
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
