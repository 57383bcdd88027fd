"""Products and tables of an ONNX graph in int8, and which of them stay in float."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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

__all__ = ["SCALES", "layers_left_in_float", "quantise"]

SCALES = {"dynamic": "a scale for each text", "static": "scales from documents"}
_BACKBONE = "backbone"
_SCOPES = "pkg.torch.onnx.name_scopes"
_QKV = ("query", "key", "value", "q_proj", "k_proj", "v_proj", "q_lin", "k_lin", "v_lin", "qkv")
_CALIBRATING = 64
"""Documents; more move the scales of static quantisation little and take memory."""
_PRODUCTS = ("MatMul", "Gemm")
_FORMER_GEMM = "_MatMul"
"""ONNX Runtime turns each Gemm into a MatMul first and adds this to its name."""
_LAYERS_NAMED = 12


def layers_left_in_float(graph: Path, asked: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yields words and the names of the products that stay in float, fewer and fewer in int8.

    What comes out of a feed-forward layer's activation has the widest range and loses the most,
    then come queries, keys and values; see docs/export.md. With `asked` there is one choice, the
    layers whose name holds one of these words.
    """
    products = _products(graph)
    outside = [product.name for product in products if _BACKBONE not in product.scope]
    inside = [product for product in products if _BACKBONE in product.scope]
    if asked:
        _refuse_unknown(asked, inside)
        named = [product.name for product in inside if any(word in product.scope for word in asked)]
        yield f"{', '.join(asked)} in float", outside + named
        return
    narrowing = [product.name for product in inside if product.narrows]
    attending = [product.name for product in inside if any(part in product.scope.lower() for part in _QKV)]
    yield "every layer", outside
    if narrowing:
        yield "the feed-forward layers' outputs in float", outside + narrowing
    if attending:
        yield "these and queries, keys and values in float", outside + narrowing + attending


def _refuse_unknown(asked: Sequence[str], products: Sequence[_Product]) -> None:
    for word in asked:
        if not any(word in product.scope for product in products):
            layers = ", ".join(sorted({product.scope for product in products})[:_LAYERS_NAMED])
            raise OptionsError(f"no layer's name holds {word!r} (the first ones: {layers})")


def quantise(plain: Path, path: Path, in_float: Sequence[str], source: ExportSource, options: Int8Options) -> None:
    """Writes the graph with int8 weights, a scale for each output channel, and int8 products."""
    shared: dict[str, Any] = {
        "per_channel": True,
        "reduce_range": not _has_vnni() if options.reduce_range is None else options.reduce_range,
        "weight_type": QuantType.QInt8,
        "nodes_to_exclude": [f"{name}{renamed}" for name in in_float for renamed in ("", _FORMER_GEMM)],
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


class _Product(NamedTuple):
    """A product with weights: its name, the module it comes from, and whether fewer numbers come out than go in."""

    name: str
    scope: str
    narrows: bool


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


def _products(graph: Path) -> list[_Product]:
    """Returns the products with weights, in the graph's order."""
    content = onnx.load(str(graph), load_external_data=False).graph
    shape_of = {weight.name: tuple(weight.dims) for weight in content.initializer}
    found = []
    for node in content.node:
        if node.op_type in _PRODUCTS and node.input[1] in shape_of:
            wide, narrow = shape_of[node.input[1]]
            flipped = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
            scopes = [entry.value for entry in node.metadata_props if entry.key == _SCOPES]
            scope = ast.literal_eval(scopes[0])[-2:] if scopes else [""]
            found.append(_Product(node.name, scope[0], narrow > wide if flipped else wide > narrow))
    return found


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
