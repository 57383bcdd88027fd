"""OpenVINO, by its own converter from the ONNX graph; the fastest on Intel and AMD CPUs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import openvino
from pydantic import Field

from embedtune.errors import EncoderError
from embedtune.export.export_options import ExportOptions

if TYPE_CHECKING:
    from embedtune.export.source import ExportSource

__all__ = ["OPTIONS", "OpenVinoOptions", "export"]

_GRAPH = "openvino/openvino_model.xml"


class OpenVinoOptions(ExportOptions):
    """How an OpenVINO model is written."""

    opset: int = Field(default=18, ge=13, description="ONNX opset of the graph that is converted.")
    half: bool = Field(default=True, description="Keep the weights in float16: half the size.")
    least_cosine: float | None = Field(
        default=0.999, ge=-1, le=1, description="Lowest cosine to the float32 vector that any text may have."
    )


OPTIONS = OpenVinoOptions


def export(source: ExportSource, folder: Path, options: OpenVinoOptions) -> Iterator[str]:
    """Writes openvino/openvino_model.xml with the outputs of the ONNX graph, and the folder around it."""
    from embedtune.export.graph import write_graph
    from embedtune.export.graph_folder import write_around

    (folder / _GRAPH).parent.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="embedtune-") as scratch:
        written = write_graph(source, Path(scratch) / "model.onnx", options.opset)
        try:
            converted = openvino.convert_model(Path(scratch) / "model.onnx")
            openvino.save_model(converted, folder / _GRAPH, compress_to_fp16=options.half)
        except RuntimeError as error:
            raise EncoderError(
                f"OpenVINO can't convert the graph of {source.name}: {str(error).splitlines()[0]}",
                remedy="try another --opset, or --format onnx",
            ) from error
    precisions = ["float32", "bfloat16"]
    write_around(source, folder, backend="openvino", graph=_GRAPH, inputs=written.inputs, precisions=precisions)
    yield f"OpenVINO model with weights in {'float16' if options.half else 'float32'}"
