"""What does each export format keep and gain? The table in docs/export.md.

    python benchmarks/export_table.py SHARED_DATA CHINESE_ENCODER WORK_FOLDER [exports|speeds]

SHARED_DATA is the folder of real collections, CHINESE_ENCODER what chinese_encoder.py trained. The
tuned model and the adapter are trained into WORK_FOLDER first. `exports` makes the folders and
compares them, `speeds` measures the speed of the folders that are there again; give the machine to
it alone. Each row is written to benchmarks/export_table.json when it is done; rows that are there,
or whose speed was measured apart, are kept.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import EmbedtuneError
from embedtune.export.export_options import ProofOptions
from embedtune.export.exporters import EXPORTERS
from embedtune.export.exporting import export
from embedtune.export.speed import measure_speed
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.sentence_transformer import load_model
from measuring import SEED, write_result

PAGE = Path(__file__).parents[1] / "docs" / "export.md"
BEGIN, END = "<!-- made by benchmarks/export_table.py -->", "<!-- end -->"
FORMATS = tuple((name, {}) for name in ("onnx", "onnx-int8", "openvino", "static", "fp16", "bf16"))
INT8_CHOICES = (("onnx-int8", {"scales": "static"}), ("onnx-int8", {"left_in_float": ("query", "key", "value")}))
"""For minilm alone."""
MOST_DOCUMENTS = 300
PROOF = {"max_documents": MOST_DOCUMENTS, "speed_documents": 24, "speed_queries": 40, "seed": SEED}
PARTS = ("exports", "speeds")
TRAININGS = {
    "adapter": ["--method", "adapter"],
    "tuned": ["--method", "full", "--epochs", "1", "--max-length", "128", "--negatives", "0", "--validations", "1"],
}


class Subject(NamedTuple):
    """A model, and the dataset and split that it is measured on."""

    model: str
    dataset: Path
    split: str


def subjects(shared: Path, chinese: Path, work: Path) -> dict[str, Subject]:
    """Returns the four models."""
    english, cmrc = shared / "chroma-chunk-eval" / "dataset.json", shared / "cmrc2018" / "dataset.json"
    return {
        "minilm": Subject("minilm", english, "test"),
        "Chinese": Subject(str(chinese), cmrc, "val"),
        "adapter": Subject(str(work / "adapter"), english, "test"),
        "tuned": Subject(str(work / "tuned"), english, "test"),
    }


def train_where_missing(name: str, subject: Subject, work: Path) -> None:
    """Trains the tuned model or the adapter."""
    if name in TRAININGS and not Path(subject.model).exists():
        words = ["train", str(subject.dataset), "--encoder", "minilm", *TRAININGS[name], "--out", subject.model]
        subprocess.run([sys.executable, "-m", "embedtune", *words, "--cache-dir", str(work / "cache")], check=True)


def row(subject: Subject, format_name: str, flags: Mapping[str, Any], work: Path, label: str) -> dict[str, Any]:
    """Returns one export's figures, or why there is none."""
    dataset = RetrievalDataset.read(subject.dataset)
    proof = ProofOptions(split=subject.split, **PROOF)
    try:
        done = export(
            subject.model,
            dataset,
            folder_of(work, label),
            format_name=format_name,
            options=EXPORTERS.load(format_name).OPTIONS(**flags),
            proof_options=proof,
            cache=EmbeddingCache(work / "cache"),
            force=True,
            overwrite=True,
        )
    except EmbedtuneError as error:
        return {"refused": error.found.replace(subject.model, label.partition(" ")[0])}
    return {key: value for key, value in done.to_json().items() if key != "folder"}


def folder_of(work: Path, label: str) -> Path:
    """Returns where a row's export is."""
    return work / label.replace(" ", "-")


def speeds(rows: dict[str, Any], found: Mapping[str, Subject], work: Path, save: Callable[[], None]) -> None:
    """Measures the speed of each row's folder beside the float32 model once more, and keeps that."""
    for name, formats in rows.items():
        waiting = {label: one for label, one in formats.items() if "speed" in one and "speed_alone" not in one}
        if not waiting:
            continue
        subject = found[name]
        dataset, options = RetrievalDataset.read(subject.dataset), ProofOptions(split=subject.split, **PROOF)
        plain = load_model(subject.model, EncoderOptions())
        queries = [dataset.queries[query_id] for query_id in dataset.split_query_ids(subject.split)]
        for label, one in waiting.items():
            encoder = load_encoder(folder_of(work, f"{name} {label}"))
            speed = measure_speed(plain, encoder, list(dataset.corpus.values()), queries, options)
            one |= {"speed": speed.to_json(), "speed_alone": True}
            save()


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the Markdown lines of docs/export.md."""
    lines = []
    for name, formats in rows.items():
        whole = next(one for one in formats.values() if "fidelity" in one)
        plain, pace = whole["fidelity"]["difference"]["mean_a"], whole["speed"]["float32"]
        lines += [
            f"### {name}",
            "",
            f"{whole['fidelity']['documents']:,} documents, {whole['fidelity']['queries']:,} queries. float32: "
            f"`ndcg_at_10` {plain:.4f}, {whole['float32_size_bytes'] / 1e6:.1f} MB, one query "
            f"{pace['query_ms_p50']:.1f} ms.",
            "",
            "| format | cosine: lowest, 1st percentile, mean | `ndcg_at_10` (95 % interval of the difference) "
            "| documents/s, times float32's | one query, ms: median, 95th percentile (float32) | MB |",
            "|---|---|---|---|---|---|",
        ]
        lines += [f"| {label} | {' | '.join(cells(one))} |" for label, one in formats.items()]
        lines.append("")
    return "\n".join(lines)


def cells(one: Mapping[str, Any]) -> list[str]:
    """Returns a row's cells after the first."""
    if "refused" in one:
        return [f"refused: {one['refused']}", "", "", "", ""]
    fidelity, speed = one["fidelity"], one["speed"]
    difference, cosines, here, plain = fidelity["difference"], fidelity["cosines"], speed["exported"], speed["float32"]
    low, high = difference["interval"]
    faults = ", refused" if one["faults"] else ""
    return [
        "other dimensions"
        if cosines is None
        else f"{cosines['lowest']:.4f}, {cosines['first_percentile']:.4f}, {cosines['mean']:.5f}",
        f"{difference['mean_b']:.4f} ({low:+.4f} to {high:+.4f}){faults}",
        f"{speed['ratio']:.2f}",
        f"{here['query_ms_p50']:.1f}, {here['query_ms_p95']:.1f} ({plain['query_ms_p50']:.1f}, "
        f"{plain['query_ms_p95']:.1f})",
        f"{one['size_bytes'] / 1e6:.1f}",
    ]


def main() -> None:
    """Measures what isn't there yet and writes the table."""
    shared, chinese, work = (Path(word) for word in sys.argv[1:4])
    parts = sys.argv[4:] or PARTS
    work.mkdir(parents=True, exist_ok=True)
    path = Path(__file__).with_suffix(".json")
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else {}

    def save() -> None:
        write_result(__file__, {"rows": rows, "most_documents": MOST_DOCUMENTS})

    found = subjects(shared, chinese, work)
    for name, subject in found.items() if "exports" in parts else ():
        train_where_missing(name, subject, work)
        for format_name, flags in (*FORMATS, *(INT8_CHOICES if name == "minilm" else ())):
            label = " ".join([format_name, *("static scales" if key == "scales" else "QKV in float" for key in flags)])
            if label not in rows.setdefault(name, {}):
                rows[name][label] = row(subject, format_name, flags, work, f"{name} {label}")
                save()
    if "speeds" in parts:
        speeds(rows, found, work, save)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(rows)}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
