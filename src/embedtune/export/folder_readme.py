"""The README.md of an exported folder: what it is, its figures, and how it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from embedtune.data.dataset import RetrievalDataset
from embedtune.export.export_options import ProofOptions
from embedtune.export.proof import proof_lines
from embedtune.export.source import ExportSource
from embedtune.models.exported_model import ABOUT, ExportedModel, is_exported

if TYPE_CHECKING:
    from embedtune.export.exporting import Exported

__all__ = ["write_readme"]


def write_readme(
    folder: Path, source: ExportSource, exported: Exported, dataset: RetrievalDataset, options: ProofOptions
) -> None:
    """Writes README.md into an exported folder."""
    fidelity, speed = exported.proof.fidelity, exported.proof.speed
    lines = [
        f"# {Path(source.name).name} as {exported.format}",
        "",
        f"Written by `embedtune export --format {exported.format}`: {exported.made}.",
        "",
        f"Compared with the float32 model on {fidelity.documents:,} documents and {fidelity.queries:,} queries of the "
        f"split {options.split!r}; speed beside sentence-transformers' `encode` in float32, taking turns, on "
        f"{speed.documents} documents and {speed.queries} single queries.",
        "",
        "| | float32 | this folder |",
        "|---|---|---|",
        *(f"| {what} | {float32} | {here} |" for what, float32, here in proof_lines(exported.proof)),
        "",
    ]
    if exported.faults:
        lines += ["Written although it doesn't keep its limits:", *(f"- {fault}" for fault in exported.faults), ""]
    lines += _moved(source) + _use(folder, exported)
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _moved(source: ExportSource) -> list[str]:
    if source.moved is None:
        return []
    return [f"`{source.moved.name}` holds the documents' vectors that NUDGE moved; put these into the store.", ""]


def _use(folder: Path, exported: Exported) -> list[str]:
    lines = ["## Use", "", "- `embedtune eval D --encoder FOLDER`, and wherever an encoder is named"]
    if not is_exported(folder):
        return [*lines, "- `SentenceTransformer(FOLDER)`"]
    about = ExportedModel.read(folder)
    if about.backend == "onnx" and about.query_output == about.document_output:
        lines.append('- `SentenceTransformer(FOLDER, backend="onnx")` where its ONNX extra can be installed')
    lines += [
        f"- `{about.graph}` with `tokenizer.json`, which cuts and fills up by itself; inputs {', '.join(about.inputs)}",
        f"- the output `{about.document_output}` is a document's vector, `{about.query_output}` a query's"
        + ("; both have unit length" if about.similarity == "cosine" else "; compare by inner product"),
        f"- before a query comes {about.query_prompt!r}, before a document {about.document_prompt!r}; see {ABOUT}",
    ]
    return lines
