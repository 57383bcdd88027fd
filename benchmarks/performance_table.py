"""Makes docs/performance.md from the JSON files of the speed benchmarks: python benchmarks/performance_table.py.

A section is a function here and a JSON file beside it; one whose file is missing is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
HEAD = """# Performance

Made by `benchmarks/performance_table.py` from the JSON files in `benchmarks/`; `make benchmarks SHARED=FOLDER` measures
all of them again. Contestants take turns in one run; times are medians of at least five rounds unless a line says
otherwise. A ratio is the peer's time over ours: above 1 we are faster. Absolute times move with the machine.
[scale.md](scale.md) says what they come to for 10 and 100 million documents.
"""


def machine(result: Mapping[str, Any]) -> str:
    """Returns one line on where and with what a result was measured."""
    hardware, versions = result["hardware"], result["versions"]
    names = ("python", "torch", "numpy", "faiss-cpu", "sentence-transformers")
    listed = ", ".join(f"{name} {versions[name]}" for name in names if name in versions)
    processor = hardware.get("processor", hardware["machine"])
    return f"{processor}, {hardware['cores']} cores; {listed}; {result['created'][:10]}.\n"


def medians(rows: Mapping[str, float], base: str, what: str) -> str:
    """Returns a table of medians and their ratio to one of them."""
    lines = [f"| {what} | seconds | ratio |\n|---|---|---|\n"]
    lines += [f"| {name} | {value:.3f} | {value / rows[base]:.2f} |\n" for name, value in rows.items()]
    return "".join(lines) + "\n"


def search(result: Mapping[str, Any]) -> str:
    """Returns the section on search."""
    parts = result["parts"]
    text = f"Exact top {result['top_k']} in {result['documents']:,} × {result['dim']} random unit vectors.\n\n"
    for name in ("batches", "single", "mapped"):
        if name in parts:
            part = parts[name]
            rows = part["median_s"]
            text += medians(
                rows, next(iter(rows)), "one query" if part["queries"] == 1 else f"{part['queries']:,} queries at once"
            )
    if "approximate" in parts:
        part = parts["approximate"]
        text += f"{part['queries']:,} queries in {part['documents']:,} documents around 500 centres, "
        text += f"top {part['top_k']}:\n\n"
        text += "| index | build, s (once) | search, s | recall |\n|---|---|---|---|\n"
        for name in ("exact", "faiss-ivf", "faiss-hnsw"):
            one = part[name]
            text += f"| {name} | {one['build_s']} | {one['search_s']:.3f} | {one['recall']} |\n"
    return text


def cache(result: Mapping[str, Any]) -> str:
    """Returns the section on the cache."""
    text = f"{result['texts']:,} vectors of {result['dim']} dimensions.\n\n"
    text += "| stored as | size / vectors' bytes | write, s | read, s | numpy reads the bytes, s "
    text += "| read from disk, s | numpy, s |\n"
    text += "|---|---|---|---|---|---|---|\n"
    for precision in ("float32", "float16"):
        one = result[precision]
        warm, cold = one["in memory"]["median_s"].values(), one["from disk"]["median_s"].values()
        times = " | ".join(f"{value:.2f}" for value in (one["write_s"], *warm, *cold))
        text += f"| {precision} | {one['size_over_vectors']} | {times} |\n"
    seconds = result["keys of 1,000,000 texts"]["median_s"]["dedupe and keys"]
    share = result["float32"]["write_s"] / result["texts"] / 0.05
    text += "\nReading includes the keys of the texts, checks and their order. float16 was written once. "
    text += (
        f"1,000,000 short texts take {seconds:.2f} s to be told apart and given keys. Writing is under 5 % of encoding "
    )
    return text + f"where an encoder needs over {share * 1000:.2f} ms a text ({1 / share:,.0f} texts/s).\n"


def metrics(result: Mapping[str, Any]) -> str:
    """Returns the section on metrics."""
    text = f"{result['measures']} measures of {result['queries']:,} queries × {result['found']} results, per query.\n\n"
    for name, one in result.items():
        if name.endswith(" judged"):
            text += medians(one["median_s"], "embedtune, a run of rows", f"{name} a query")
    return text


def opening(result: Mapping[str, Any]) -> str:
    """Returns the section on opening a dataset."""
    text = f"{result['documents']:,} documents, {result['json_mb']:.0f} MB of JSON, a process each.\n\n"
    text += "| | seconds | added peak memory, MB | rounds |\n|---|---|---|---|\n"
    for name, one in result["medians"].items():
        text += f"| {name} | {one['seconds']:.2f} | {one['peak_mb']:.0f} | {one['runs']} |\n"
    return text


def encoding(result: Mapping[str, Any]) -> str:
    """Returns the section on encoding: `table`, lines of Markdown that encode_speed.py wrote."""
    return str(result["table"]) + "\n"


def training(result: Mapping[str, Any]) -> str:
    """Returns the section on training."""
    text = (
        "all-MiniLM-L6-v2, 256 tokens; samples (a query with its positive and negatives) a second, and the ratio to\n"
        "sentence-transformers' trainer with MultipleNegativesRankingLoss and its defaults, which keeps dropout;\n"
        "bfloat16 beside its autocast. The first step of each training is left out, the median is of six others.\n\n"
        "| texts, batch × negatives, precision | peer | with dropout | ratio | without (default) | ratio |\n"
        "|---|---|---|---|---|---|\n"
    )
    for name, part in result["parts"].items():
        rates, ratios = list(part["samples_per_s"].values()), list(part["ratio"].values())
        cells = [part_label(name), f"{rates[0]:.2f}"]
        for rate, ratio in zip(rates[1:], ratios[1:], strict=True):
            cells += [f"{rate:.2f}", f"{ratio:.2f}"]
        text += f"| {' | '.join(cells)} |\n"
    return f"{text}\n{against_float32(result['parts'])}\n"


def part_label(name: str) -> str:
    """Returns what was trained on, and how, in words."""
    texts, size, *precision = name.split("-")
    return ", ".join([texts, size.replace("x", " × "), *precision])


def against_float32(parts: Mapping[str, Any]) -> str:
    """Returns lines on ours in bfloat16 beside the peer as it comes, which is float32; they are of two runs."""
    text = ""
    for name, part in parts.items():
        start, _, precision = name.rpartition("-")
        plain = parts.get(f"{start}-float32")
        if precision == "bfloat16" and plain is not None:
            peer, *_ = plain["samples_per_s"].values()
            _, dropout, default = part["samples_per_s"].values()
            text += f"bfloat16 beside the peer as it comes, float32 ({part_label(start)}, two runs of one machine): "
            text += f"{dropout / peer:.2f} times with dropout, {default / peer:.2f} without.\n"
    return text


SECTIONS: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "encode_speed": ("Encoding", encoding),
    "train_speed": ("Training", training),
    "cache_speed": ("Cache", cache),
    "search_speed": ("Search", search),
    "metrics_speed": ("Metrics", metrics),
    "dataset_opening": ("Opening a dataset", opening),
    "dataset_scale": ("Opening a larger dataset", opening),
}


def main() -> None:
    """Writes the page."""
    text = HEAD
    for name, (title, section) in SECTIONS.items():
        path = HERE / f"{name}.json"
        if path.exists():
            result = json.loads(path.read_text(encoding="utf-8"))
            text += f"\n## {title}\n\n{section(result)}\n[{name}.json](../benchmarks/{name}.json): {machine(result)}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
