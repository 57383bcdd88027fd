"""ONNX with weights and products in int8: a quarter of the size, faster on a CPU with VNNI."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from embedtune.export.exporters.onnx import OnnxOptions

if TYPE_CHECKING:
    from embedtune.export.source import ExportSource

__all__ = ["OPTIONS", "Int8Options", "export"]

_GRAPH = "onnx/model.onnx"


class Int8Options(OnnxOptions):
    """How a graph is quantised."""

    scales: Literal["dynamic", "static"] = Field(
        default="dynamic",
        description="dynamic takes each layer's scale from the text that goes through; static from documents of "
        "--data, once.",
    )
    left_in_float: tuple[str, ...] = Field(
        default=(),
        description="Parts of layer names that stay in float, such as query; default: none, then more and more until "
        "the limits are kept.",
    )
    embeddings: bool = Field(default=True, description="Keep the table of tokens in int8 too, for the size.")
    reduce_range: bool | None = Field(
        default=None, description="Weights in 7 bits; default: where the CPU has no VNNI, whose sums would overflow."
    )
    least_cosine: float | None = Field(
        default=None, ge=-1, le=1, description="Lowest cosine to the float32 vector that any text may have."
    )
    most_lost: float | None = Field(
        default=0.01, ge=0, le=1, description="Largest share of the measure that may be lost; 0.01 is 1 %."
    )
    least_speedup: float | None = Field(
        default=2.0, ge=0, description="Lowest ratio to the documents a second of sentence-transformers in float32."
    )


OPTIONS = Int8Options


def export(source: ExportSource, folder: Path, options: Int8Options) -> Iterator[str]:
    """Writes the graph with int8 products, at first in every layer, then with the sensitive ones in float.

    Weights have a scale for each output channel; pooling and a map of queries stay in float. Dynamic
    scales are a whole call's, so a runtime should give each text alone, as embedtune does: a vector
    then doesn't hang on its neighbours, and on a CPU that is faster too.
    """
    from embedtune.export.graph import write_graph
    from embedtune.export.graph_folder import write_around
    from embedtune.export.quantising import SCALES, layers_left_in_float, quantise

    with tempfile.TemporaryDirectory(prefix="embedtune-") as scratch:
        plain = Path(scratch) / "model.onnx"
        written = write_graph(source, plain, options.opset)
        write_around(
            source,
            folder,
            backend="onnx",
            graph=_GRAPH,
            inputs=written.inputs,
            precisions=["int8"],
        )
        (folder / _GRAPH).parent.mkdir()
        for words, names in layers_left_in_float(plain, options.left_in_float):
            quantise(plain, folder / _GRAPH, names, source, options)
            yield f"int8 with {SCALES[options.scales]}, {words}"
