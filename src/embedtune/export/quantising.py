"""Products and tables of an ONNX graph in int8, and which of them stay in float."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnx
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from embedtune.errors import OptionsError
from embedtune.export.graph import INPUTS
from embedtune.export.source import ExportSource

if TYPE_CHECKING:
    from embedtune.export.exporters.onnx_int8 import Int8Options

__all__ = ["SCALES", "ScalesName", "layers_left_in_float", "quantise"]

ScalesName = Literal["dynamic", "static"]
SCALES = {"dynamic": "a scale for each text", "static": "scales from documents"}
_BACKBONE = "backbone"
_SCOPES = "pkg.torch.onnx.name_scopes"
_QKV = ("query", "key", "value", "q_proj", "k_proj", "v_proj", "q_lin", "k_lin", "v_lin", "qkv")
_ATTENTION = ("attention", "attn")
_CALIBRATING = 64
"""Documents; more move the scales of static quantisation little and take memory."""
_PRODUCTS = ("MatMul", "Gemm")


def layers_left_in_float(graph: Path, asked: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yields words and the names of the products that stay in float, fewer and fewer in int8.

    Queries', keys' and values' projections lose the most; see docs/export.md. With `asked` there is
    one choice, the layers whose name holds one of these words.
    """
    scope_of = _scopes(graph)
    outside = [name for name, scope in scope_of.items() if _BACKBONE not in scope]
    steps = [("every layer", ()), ("queries, keys and values in float", _QKV), ("attention in float", _ATTENTION)]
    if asked:
        unknown = [word for word in asked if not any(word in scope for scope in scope_of.values())]
        if unknown:
            layers = ", ".join(sorted({scope.split(", ")[-1].strip("'[] ") for scope in scope_of.values()})[:12])
            raise OptionsError(f"no layer's name holds {unknown[0]!r} (the first ones: {layers})")
        steps = [(f"{', '.join(asked)} in float", tuple(asked))]
    before: list[str] | None = None
    for words, parts in steps:
        names = outside + [
            name
            for name, scope in scope_of.items()
            if name not in outside and any(part in scope.lower() for part in parts)
        ]
        if names != before:
            yield words, names
        before = names


def quantise(plain: Path, path: Path, in_float: Sequence[str], source: ExportSource, options: Int8Options) -> None:
    """Writes the graph with int8 weights, a scale for each output channel, and int8 products."""
    shared: dict[str, Any] = {
        "per_channel": True,
        "reduce_range": not _has_vnni() if options.reduce_range is None else options.reduce_range,
        "weight_type": QuantType.QInt8,
        "nodes_to_exclude": list(in_float),
        "op_types_to_quantize": [*_PRODUCTS, *(("Gather",) if options.embeddings else ())],
        "extra_options": {"MatMulConstBOnly": True},
    }
    with _quiet():
        if options.scales == "dynamic":
            quantize_dynamic(str(plain), str(path), **shared)
        else:
            reader = _Documents(source, _inputs(plain))
            quantize_static(
                str(plain), str(path), reader, quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8, **shared
            )


class _Documents(CalibrationDataReader):
    """Gives the calibration documents to ONNX Runtime, one at a time."""

    def __init__(self, source: ExportSource, inputs: Sequence[str]) -> None:
        self._waiting = iter(source.documents[:_CALIBRATING])
        self._source, self._inputs = source, inputs

    def get_next(self) -> dict[str, Any] | None:
        """Returns the inputs of the next document, None after the last."""
        text = next(self._waiting, None)
        if text is None:
            return None
        model = self._source.model
        tokenized = model.tokenizer([text], truncation=True, max_length=model.max_seq_length, return_tensors="np")
        return {name: tokenized[name].astype(np.int64) for name in self._inputs}


def _inputs(graph: Path) -> list[str]:
    given = {given.name for given in onnx.load(str(graph), load_external_data=False).graph.input}
    return [name for name in INPUTS if name in given]


def _scopes(graph: Path) -> dict[str, str]:
    """Returns the name of each product with weights → the modules it came from."""
    content = onnx.load(str(graph), load_external_data=False).graph
    weights = {weight.name for weight in content.initializer}
    return {
        node.name: next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), "")
        for node in content.node
        if node.op_type in _PRODUCTS and node.input[1] in weights
    }


def _has_vnni() -> bool:
    abilities = torch.cpu.get_capabilities()
    return any("vnni" in name and there for name, there in abilities.items())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps ONNX Runtime's advice to preprocess off the screen; the exporter has done so already."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
