"""Which products of a real graph go to int8, and that a graph with some in float is nearer to the model."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from embedtune.errors import OptionsError
from embedtune.export.exporters.onnx_int8 import Int8Options
from embedtune.export.quantising import layers_left_in_float, quantise
from embedtune.export.source import ExportSource
from embedtune.models.encoder import EncoderOptions

TEXTS = ["水壶里有水垢怎么办", "How do I get lime scale out of the kettle?", "Green tea wants water at 80 °C."]


@pytest.fixture(scope="module")
def graph(exported):
    return exported("onnx").folder / "onnx" / "model.onnx"


@pytest.fixture(scope="module")
def source(tuned, household):
    return ExportSource.load(str(tuned), EncoderOptions(), tuple(household.corpus.values()))


def vectors_of(path, source):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rows = []
    for text in TEXTS:
        tokens = source.model.tokenizer([text], return_tensors="np")
        inputs = {given.name: tokens[given.name].astype(np.int64) for given in session.get_inputs()}
        rows.append(session.run(["query_embedding"], inputs)[0][0])
    return np.stack(rows)


def test_more_and_more_stays_in_float(graph):
    steps = list(layers_left_in_float(graph, ()))
    left = [set(names) for _, names in steps]
    assert left[0] < left[1] < left[2]
    scopes = {node.name: str(node.metadata_props) for node in onnx.load(str(graph)).graph.node}
    assert all("query_route" in scopes[name] for name in left[0])
    assert all("output.dense" in scopes[name] and "attention" not in scopes[name] for name in left[1] - left[0])
    assert {part for name in left[2] - left[1] for part in ("query", "key", "value") if f"self.{part}" in scopes[name]}
    assert [words for words, _ in layers_left_in_float(graph, ("intermediate",))] == ["intermediate in float"]
    with pytest.raises(OptionsError, match="no layer's name holds 'nolayer'"):
        list(layers_left_in_float(graph, ("nolayer",)))


@pytest.mark.parametrize("scales", ["dynamic", "static"])
def test_int8_is_near_and_nearer_with_more_in_float(graph, source, tmp_path, scales):
    exact = vectors_of(graph, source)
    far = []
    for number, (_, names) in enumerate(layers_left_in_float(graph, ())):
        path = tmp_path / f"{number}.onnx"
        quantise(graph, path, names, source, Int8Options(scales=scales, embeddings=False))
        assert path.stat().st_size < graph.stat().st_size
        far.append(float(np.abs(vectors_of(path, source) - exact).mean()))
    assert 0 < far[2] < far[0] < 0.1
    first = onnx.load(str(tmp_path / "0.onnx")).graph
    in_int8 = [node for node in first.node if node.op_type in ("MatMulInteger", "QLinearMatMul")]
    assert not [node.name for node in in_int8 if "Gemm" in node.name or "query_route" in str(node.metadata_props)]
    kinds = {node.op_type for node in first.node}
    assert kinds & ({"MatMulInteger"} if scales == "dynamic" else {"QuantizeLinear"})
