"""Model → one ONNX graph, from token ids to the token vectors and the pooled, normalised vector."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.onnx import OnnxExporterError

from embedtune.errors import EncoderError
from embedtune.export.source import ExportSource

__all__ = ["DOCUMENT_OUTPUT", "QUERY_OUTPUT", "TOKEN_OUTPUT", "WrittenGraph", "write_graph"]

TOKEN_OUTPUT, DOCUMENT_OUTPUT, QUERY_OUTPUT = "last_hidden_state", "sentence_embedding", "query_embedding"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_LARGEST_FILE = 1_800_000_000
"""Bytes of weights; protobuf ends at 2 GB, and more go into a file beside."""
_NEAR = 1e-4
_PROBE_TOKENS = 128
_PROBES = (["tea"], ["水壶里有水垢怎么办？", "short", "A longer text, so that the others are filled up. " * 12])


class WrittenGraph(NamedTuple):
    """The names of a graph's inputs, and how far its vectors were from the model's at most."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    farthest: float


class _GraphModule(nn.Module):
    """A sentence-transformers model as one function of token ids."""

    def __init__(self, source: ExportSource, inputs: tuple[str, ...]) -> None:
        super().__init__()
        modules = list(source.model)
        self.inputs = inputs
        self.backbone = cast("Any", modules[0]).model
        self.after = nn.ModuleList(modules[1:])
        self.query_route = None if source.query_map is None else source.query_map.route
        self.normalise = source.normalise

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Returns token vectors (texts, tokens, dim) and one vector a text, or two where queries have a map."""
        features: dict[str, Any] = dict(zip(self.inputs, given, strict=True))
        features["token_embeddings"] = tokens = self.backbone(**features).last_hidden_state
        for module in self.after:
            features = module(features)
        vectors = features["sentence_embedding"]
        if self.normalise:
            vectors = nn.functional.normalize(vectors, dim=1)
        if self.query_route is None:
            return tokens, vectors
        return tokens, vectors, self.query_route({"sentence_embedding": vectors})["sentence_embedding"]


def write_graph(source: ExportSource, path: Path, opset: int) -> WrittenGraph:
    """Writes the graph and checks it with ONNX's checker and against the model in ONNX Runtime.

    Raises EncoderError for an architecture or an opset that the exporter can't do, and for a graph
    whose vectors aren't the model's.
    """
    source.refuse_without_graph()
    probes = [_inputs_of(source, texts) for texts in _PROBES]
    inputs = tuple(probes[0])
    module = _GraphModule(source, inputs).eval()
    outputs = (TOKEN_OUTPUT, DOCUMENT_OUTPUT, *(() if module.query_route is None else (QUERY_OUTPUT,)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with _plain_attention(module.backbone), torch.inference_mode():
        _export(source, module, probes[1], path, inputs, outputs, opset)
        _check_file(path, opset)
        farthest = _check_vectors(source, module, probes, path)
    return WrittenGraph(inputs, outputs, farthest)


def _inputs_of(source: ExportSource, texts: list[str]) -> dict[str, Tensor]:
    """Returns what the tokenizer gives and the model takes, in the order of INPUTS."""
    limit = min(source.model.max_seq_length or _PROBE_TOKENS, _PROBE_TOKENS)
    tokenized = source.model.tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt")
    taken = inspect.signature(cast("Any", source.model[0]).model.forward).parameters
    return {name: tokenized[name] for name in INPUTS if name in tokenized and name in taken}


@contextmanager
def _plain_attention(backbone: Any) -> Iterator[None]:
    """Uses attention of plain products while the block runs; a runtime fuses it by itself, and quantises it better."""
    before = backbone.config._attn_implementation
    try:
        backbone.set_attn_implementation("eager")
    except (AttributeError, ValueError, TypeError):  # an architecture with one kind of attention
        yield
        return
    try:
        yield
    finally:
        backbone.set_attn_implementation(before)


def _export(
    source: ExportSource,
    module: nn.Module,
    example: dict[str, Tensor],
    path: Path,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    opset: int,
) -> None:
    weights = sum(parameter.numel() * 4 for parameter in module.parameters())
    with _quiet():
        try:
            torch.onnx.export(
                module,
                tuple(example.values()),
                str(path),
                dynamo=True,
                external_data=weights > _LARGEST_FILE,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=(tuple({0: "batch", 1: "length"} for _ in inputs),),
                opset_version=opset,
                verbose=False,
            )
        except (OnnxExporterError, RuntimeError, TypeError, ValueError, AttributeError, KeyError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise EncoderError(
                f"PyTorch can't turn {source.name} ({type(cast('Any', module).backbone).__name__}) into a graph "
                f"of opset {opset}: {first}",
                remedy="try --opset 18, which PyTorch writes by itself, or export as fp16 or bf16",
            ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's own words, which say nothing to a user, off the screen."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _check_file(path: Path, opset: int) -> None:
    """Raises EncoderError where the file isn't valid ONNX of that opset."""
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise EncoderError(
            f"the graph isn't valid ONNX: {str(error).splitlines()[0]}", remedy="try another --opset"
        ) from error
    found = next(
        entry.version for entry in onnx.load(str(path), load_external_data=False).opset_import if not entry.domain
    )
    if found != opset:
        raise EncoderError(
            f"the graph came out in opset {found}, opset {opset} was asked for: an operation of this model "
            "can't be written in it",
            remedy=f"use --opset {found}",
        )


def _check_vectors(source: ExportSource, module: nn.Module, probes: list[dict[str, Tensor]], path: Path) -> float:
    """Returns how far the graph's vectors are from the model's; raises EncoderError where it is far."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    farthest = 0.0
    for probe in probes:
        expected = module(*probe.values())[1:]
        found = session.run(None, {name: value.numpy() for name, value in probe.items()})[1:]
        distances = [float(np.abs(a.numpy() - b).max()) for a, b in zip(expected, found, strict=True)]
        farthest = max(farthest, *distances)
    if not farthest < _NEAR:
        raise EncoderError(
            f"the graph's vectors are off by up to {farthest:.2g} from those of {source.name}",
            remedy="export as fp16 or bf16, and tell us which architecture it is",
        )
    return farthest
