"""ONNX in float32: one graph for ONNX Runtime and every server that reads onnx/model.onnx."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from embedtune.export.export_options import ExportOptions

if TYPE_CHECKING:
    from embedtune.export.source import ExportSource

__all__ = ["OPTIONS", "OnnxOptions", "export"]

_GRAPH = "onnx/model.onnx"


class OnnxOptions(ExportOptions):
    """How an ONNX graph is written."""

    opset: int = Field(default=18, ge=13, description="ONNX opset; 18 is read by ONNX Runtime 1.14 (2023) and later.")
    least_cosine: float | None = Field(
        default=0.9999, ge=-1, le=1, description="Lowest cosine to the float32 vector that any text may have."
    )


OPTIONS = OnnxOptions


def export(source: ExportSource, folder: Path, options: OnnxOptions) -> Iterator[str]:
    """Writes the graph with the outputs last_hidden_state and sentence_embedding, and the folder around it."""
    from embedtune.export.graph import write_graph
    from embedtune.export.graph_folder import write_around

    written = write_graph(source, folder / _GRAPH, options.opset)
    write_around(source, folder, backend="onnx", graph=_GRAPH, inputs=written.inputs, precisions=["float32"])
    yield f"one graph of opset {options.opset}, at most {written.farthest:.1g} from the model in any place of a vector"
