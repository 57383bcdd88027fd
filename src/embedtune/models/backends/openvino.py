"""Runs a graph with OpenVINO on a CPU, in bfloat16 where the hardware computes in it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from embedtune.errors import EncoderError
from embedtune.models.encoder import Vectors

__all__ = ["OpenVinoGraph", "load"]

_HINTS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoGraph:
    """An OpenVINO model, compiled; each thread that calls it has an inference request of its own."""

    def __init__(self, path: Path, precision: str) -> None:
        settings = {"PERFORMANCE_HINT": "THROUGHPUT"}
        if precision in _HINTS:
            settings["INFERENCE_PRECISION_HINT"] = _HINTS[precision]
        self._compiled = openvino.Core().compile_model(path, "CPU", settings)
        self._own = threading.local()
        self.inputs: Sequence[str] = [given.get_any_name() for given in self._compiled.inputs]
        self.outputs: Sequence[str] = [found.get_any_name() for found in self._compiled.outputs]
        self.on_gpu = False

    def __str__(self) -> str:
        return f"OpenVINO {openvino.__version__.partition('-')[0]} on cpu"

    def run(self, inputs: Mapping[str, Any], output: str) -> Vectors:
        """Returns one output for (texts, tokens) int64 inputs; may be called from several threads."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        try:
            self._own.request.infer(dict(inputs), share_inputs=True)
        except RuntimeError as error:
            raise EncoderError(f"OpenVINO can't run the graph: {str(error).splitlines()[0]}") from error
        found: Vectors = np.array(self._own.request.get_tensor(output).data, dtype=np.float32)
        return found


def load(path: Path, device: str, precision: str) -> OpenVinoGraph:
    """Returns the graph; raises EncoderError for a damaged file or a device that isn't a CPU."""
    if device not in ("auto", "cpu"):
        raise EncoderError(f"an OpenVINO folder runs on a CPU, found device {device!r}", remedy="use --device cpu")
    try:
        return OpenVinoGraph(path, precision)
    except RuntimeError as error:
        raise EncoderError(
            f"OpenVINO can't load the graph: {str(error).splitlines()[0]}",
            where=str(path),
            remedy="export the model again, or update openvino",
        ) from error
