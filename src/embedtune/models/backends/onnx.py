"""Runs a graph with ONNX Runtime, on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from embedtune.errors import EncoderError
from embedtune.models.encoder import Vectors

__all__ = ["OnnxGraph", "load"]

_GPU, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_ERRORS_ONLY = 3
_STATES = onnxruntime.capi.onnxruntime_pybind11_state
_FAILURES = (
    _STATES.Fail,
    _STATES.InvalidArgument,
    _STATES.InvalidGraph,
    _STATES.InvalidProtobuf,
    _STATES.NoSuchFile,
    _STATES.NotImplemented,
    _STATES.RuntimeException,
)


class OnnxGraph:
    """An ONNX file in an ONNX Runtime session that computes each call on one thread."""

    def __init__(self, path: Path, device: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        self._session = onnxruntime.InferenceSession(str(path), options, providers=_providers(device))
        self.inputs: Sequence[str] = [given.name for given in self._session.get_inputs()]
        self.outputs: Sequence[str] = [found.name for found in self._session.get_outputs()]
        self.on_gpu = _GPU in self._session.get_providers()

    def __str__(self) -> str:
        return f"ONNX Runtime {onnxruntime.__version__} on {'cuda' if self.on_gpu else 'cpu'}"

    def run(self, inputs: Mapping[str, Any], output: str) -> Vectors:
        """Returns one output for (texts, tokens) int64 inputs; may be called from several threads."""
        try:
            found: Vectors = self._session.run([output], dict(inputs))[0]
        except _FAILURES as error:
            raise EncoderError(f"ONNX Runtime can't run the graph: {str(error).splitlines()[0]}") from error
        return found.astype(np.float32, copy=False)


def load(path: Path, device: str, precision: str) -> OnnxGraph:
    """Returns the graph, whose precision is fixed; raises EncoderError for a damaged file or a GPU that isn't there."""
    try:
        return OnnxGraph(path, device)
    except _FAILURES as error:
        raise EncoderError(
            f"ONNX Runtime can't load the graph: {str(error).splitlines()[0]}",
            where=str(path),
            remedy="export the model again, or update onnxruntime",
        ) from error


def _providers(device: str) -> list[str | tuple[str, dict[str, str]]]:
    there = onnxruntime.get_available_providers()
    if device.startswith("cuda") and _GPU not in there:
        raise EncoderError(
            f"device {device!r} asked for, but this ONNX Runtime has no {_GPU}",
            remedy="install onnxruntime-gpu in the place of onnxruntime, or use --device cpu",
        )
    number = device.partition(":")[2] or "0"
    return [(_GPU, {"device_id": number}), _CPU] if _GPU in there and device != "cpu" else [_CPU]
