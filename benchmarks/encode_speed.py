"""How fast and how exactly are texts encoded, beside sentence-transformers' encode?

    python benchmarks/encode_speed.py SHARED_DATA [speed|busy|fidelity ...]

SHARED_DATA is the folder of real collections. `speed` takes turns over texts of SciFact, CMRC 2018
and the installed packages' docstrings; `busy` does the same on SciFact while another process
keeps one core busy; `fidelity` compares vectors with float32's. A CPU that doesn't compute in bfloat16
has `speed` and `busy` of float32, kept beside the others. Each part is written to
benchmarks/encode_speed.json when it is done; the other parts stay.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from embedtune.data.converters.docstrings import DocstringOptions, convert
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.sentence_transformer import choose_precision
from embedtune.packaged import minilm_folder
from measuring import SEED, interleaved, write_result

TEXTS = 192
COMPARED_TEXTS = 250
PEER = "sentence-transformers encode"
PARTS = ("speed", "busy", "fidelity")
LESS = "float32 only"
"""How parts are called where bfloat16 isn't to be had."""


def corpora(shared: Path) -> dict[str, list[str]]:
    """Returns the documents of each collection."""
    found = {}
    for name in ("scifact", "cmrc2018"):
        found[name] = list(json.loads((shared / name / "dataset.json").read_text(encoding="utf-8"))["corpus"].values())
    return found | {"docstrings": list(convert(None, DocstringOptions()).corpus.values())}


def sample(texts: list[str], count: int) -> list[str]:
    """Returns some of the texts, by the seed."""
    return random.Random(SEED).sample(texts, min(count, len(texts)))


def fast_precisions() -> tuple[str, ...]:
    """Returns what is faster than float32 on this CPU, or float32."""
    bfloat16 = choose_precision("auto", torch.device("cpu")) == "bfloat16"
    return ("bfloat16", "int8") if bfloat16 else ("float32",)


def speed(texts: list[str], rounds: int = 5) -> dict[str, Any]:
    """Returns medians, the ratio to the peer, and tokens a second."""
    plain = SentenceTransformer(str(minilm_folder()), device="cpu")
    fast = {precision: load_encoder("minilm", EncoderOptions(precision=precision)) for precision in fast_precisions()}
    for encoder in fast.values():
        encoder.encode(texts[:8], "document")
    plain.encode(texts[:8])
    contestants = {PEER: lambda: plain.encode(texts)}
    for precision, encoder in fast.items():
        contestants[f"embedtune, {precision}"] = lambda encoder=encoder: encoder.encode(texts, "document")
    result = interleaved(contestants, rounds, warm=False)
    tokens = sum(min(count, plain.max_seq_length) for count in next(iter(fast.values())).count_tokens(texts))
    medians = result["median_s"]
    ratios = {name: round(medians[PEER] / value, 2) for name, value in medians.items()}
    rates = {name: round(tokens / value) for name, value in medians.items()}
    return result | {"texts": len(texts), "tokens": tokens, "ratio": ratios, "tokens_per_s": rates}


def busy(texts: list[str]) -> dict[str, Any]:
    """Returns the same with one core taken by another process."""
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        return speed(texts)
    finally:
        neighbour.kill()
        neighbour.wait()


def fidelity(texts: list[str]) -> dict[str, Any]:
    """Returns cosines to float32: lowest, 1st percentile, mean."""
    exact = load_encoder("minilm", EncoderOptions(precision="float32")).encode(texts, "document")
    result: dict[str, Any] = {"texts": len(texts)}
    for precision in ("bfloat16", "int8"):
        vectors = load_encoder("minilm", EncoderOptions(precision=precision)).encode(texts, "document")
        cosines = (exact * vectors).sum(axis=1)
        figures = (cosines.min(), np.quantile(cosines, 0.01), cosines.mean())
        result[precision] = [round(float(figure), 5) for figure in figures]
    return result


def table(parts: dict[str, Any]) -> str:
    """Returns the Markdown lines of docs/performance.md."""
    lines = [
        "all-MiniLM-L6-v2, 256 tokens, documents of real collections; ratios to sentence-transformers' `encode` as it",
        "comes (float32, batches of 32); tokens are those that reach the model.",
        "",
        *speed_lines(parts, "", ("bfloat16", "int8")),
    ]
    if "fidelity" in parts:
        lines += ["", "| cosine to float32: lowest, 1st percentile, mean | bfloat16 | int8 |", "|---|---|---|"]
        for name, part in parts["fidelity"].items():
            cells = [", ".join(f"{figure:.5f}" for figure in part[precision]) for precision in ("bfloat16", "int8")]
            lines.append(f"| {name}, {part['texts']} documents | {' | '.join(cells)} |")
    if f"speed, {LESS}" in parts:
        lines += ["", "On another machine, whose CPU doesn't compute in bfloat16; ours is float32 too:", ""]
        lines += speed_lines(parts, f", {LESS}", ("float32",))
    return "\n".join(lines) + "\n"


def speed_lines(parts: dict[str, Any], which: str, precisions: tuple[str, ...]) -> list[str]:
    """Returns the table of the speed parts whose name ends so."""
    rows = dict(parts.get(f"speed{which}", {}))
    if f"busy{which}" in parts:
        rows["scifact, one core taken by another process"] = parts[f"busy{which}"]
    heads = [f"{precision}: tokens/s | ratio" for precision in precisions]
    lines = [
        f"| texts | tokens a text | peer, tokens/s | {' | '.join(heads)} |",
        "|---|---|---" + "|---|---" * len(heads) + "|",
    ]
    for name, part in rows.items():
        rate, ratio = part["tokens_per_s"], part["ratio"]
        cells = [f"{part['tokens'] / part['texts']:.0f}", f"{rate[PEER]:,}"]
        for precision in precisions:
            cells += [f"{rate[f'embedtune, {precision}']:,}", f"{ratio[f'embedtune, {precision}']:.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Measures the parts asked for and writes the result."""
    shared, wanted = Path(sys.argv[1]), sys.argv[2:] or list(PARTS)
    path = Path(__file__).with_suffix(".json")
    parts = json.loads(path.read_text(encoding="utf-8"))["parts"] if path.exists() else {}
    texts = corpora(shared)
    bfloat16 = "bfloat16" in fast_precisions()
    for part in wanted:
        named = part if bfloat16 else f"{part}, {LESS}"
        if part == "speed":
            parts[named] = {name: speed(sample(some, TEXTS)) for name, some in texts.items()}
        elif part == "busy":
            parts[named] = busy(sample(texts["scifact"], TEXTS))
        elif part == "fidelity":
            if not bfloat16:
                print("fidelity left out: this CPU doesn't compute in bfloat16")
                continue
            parts[part] = {name: fidelity(sample(some, COMPARED_TEXTS)) for name, some in texts.items()}
        else:
            raise SystemExit(f"unknown part {part!r}, expected {', '.join(PARTS)}")
        write_result(__file__, {"threads": torch.get_num_threads(), "parts": parts, "table": table(parts)})


if __name__ == "__main__":
    main()
