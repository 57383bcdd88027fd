"""Encodes with an exported graph: the tokenizers library before it, a backend to run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Encoding, Tokenizer

from embedtune.errors import EncoderError
from embedtune.models.backends import BACKENDS
from embedtune.models.encoder import EncoderOptions, TextKind, Vectors
from embedtune.models.exported_model import TOKENIZER, ExportedModel, Graph
from embedtune.models.length_batches import batches_by_length
from embedtune.models.sentence_transformer import choose_precision
from embedtune.models.workers import in_threads

__all__ = ["ExportedEncoder"]

_ONE_TEXT = 1
"""Token budget on a CPU: each text alone is 1.4 times as fast as batches of 2,048 tokens, which are padded and leave
the core's cache, and int8 scales, which are a whole call's, don't mix texts."""
_FILL = {"attention_mask": 0, "token_type_ids": 0}
_PART_OF = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}


class ExportedEncoder:
    """A folder that embedtune export wrote, with its prompts and length limit; see the Encoder protocol."""

    def __init__(self, folder: Path, options: EncoderOptions) -> None:
        about = ExportedModel.read(folder)
        _refuse_what_is_fixed(about, options)
        self.about = about
        self.precision = _chosen_precision(about, options)
        self.fingerprint = about.fingerprint(folder)
        self.max_length = options.max_length or about.max_length
        self._prompts: dict[TextKind, str] = {
            "query": about.query_prompt if options.query_instruction is None else options.query_instruction,
            "document": about.document_prompt if options.document_instruction is None else options.document_instruction,
        }
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._cutting = Tokenizer.from_str(self._tokenizer.to_str())
        self._cutting.enable_truncation(self.max_length)
        self._graph: Graph = BACKENDS.load(about.backend).load(
            folder / about.graph, _device(about, options), self.precision
        )
        self._workers = 1 if self._graph.on_gpu else torch.get_num_threads()
        self._tokens_per_run = options.tokens_per_batch if self._graph.on_gpu else _ONE_TEXT

    @property
    def dim(self) -> int:
        """Returns the length of one vector."""
        return self.about.dim

    @property
    def cache_key(self) -> dict[str, Any]:
        """Returns all that changes a vector besides the text and its kind."""
        return {
            "weights": self.fingerprint,
            "max_length": self.max_length,
            "precision": self.precision,
            "computed": self.about.backend,
            "normalise": self.about.similarity == "cosine",
            "dim": self.dim,
        }

    def __str__(self) -> str:
        return f"{self.precision} by {self._graph}, at most {self.max_length} tokens a text"

    def prompt(self, kind: TextKind) -> str:
        """Returns the text that is put before every query or document."""
        return self._prompts[kind]

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Returns each text's length in tokens before any cut, special tokens included."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(texts)]

    def encode(self, texts: list[str], kind: TextKind) -> Vectors:
        """Returns (len(texts), dim) float32 in the order of the texts; see the Encoder protocol."""
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                raise EncoderError(f"expected texts, found {type(text).__name__} at position {position}")
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        output = self.about.query_output if kind == "query" else self.about.document_output
        encodings = self._cutting.encode_batch_fast([self.prompt(kind) + text for text in texts])
        lengths = np.fromiter((len(encoding.ids) for encoding in encodings), dtype=np.int64, count=len(texts))

        def run(positions: list[int]) -> Vectors:
            inputs = self._padded([encodings[i] for i in positions], int(lengths[positions].max()))
            return self._graph.run(inputs, output)

        share = -(-int(lengths.sum()) // self._workers)  # so that few texts still use every worker
        batches = batches_by_length(lengths, min(self._tokens_per_run, max(share, 1)), padded=True)
        for positions, fresh in in_threads(batches, run, min(self._workers, len(texts))):
            vectors[positions] = fresh
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if bad.size:
            raise EncoderError(
                f"the graph's vector isn't finite for {bad.size} of {len(texts)} texts, "
                f"the first being {texts[bad[0]][:80]!r}",
                remedy="export the model again, in another format if that doesn't help",
            )
        return vectors

    def _padded(self, encodings: list[Encoding], width: int) -> dict[str, npt.NDArray[np.int64]]:
        """Returns the graph's inputs, (texts, width) each."""
        inputs = {}
        for name in self.about.inputs:
            rows = np.full((len(encodings), width), _FILL.get(name, self.about.pad_token_id), dtype=np.int64)
            for row, encoding in zip(rows, encodings, strict=True):
                part = getattr(encoding, _PART_OF[name])
                row[slice(width - len(part), None) if self.about.padding_side == "left" else slice(len(part))] = part
            inputs[name] = rows
        return inputs


def _chosen_precision(about: ExportedModel, options: EncoderOptions) -> str:
    """Returns what the graph is computed in; raises EncoderError where it can't be what is asked for."""
    hardware = choose_precision("auto", torch.device("cpu"))
    if options.precision == "auto":
        return hardware if hardware in about.precisions else about.precisions[0]
    if options.precision not in about.precisions:
        raise EncoderError(
            f"the graph can be computed in {' or '.join(about.precisions)}, found --precision {options.precision}",
            remedy="leave --precision out, or export the model in another format",
        )
    return options.precision


def _device(about: ExportedModel, options: EncoderOptions) -> str:
    """Returns the device; int8 products are for CPUs."""
    if "int8" not in about.precisions:
        return options.device
    if options.device not in ("auto", "cpu"):
        raise EncoderError(
            f"an int8 graph is for a CPU, found device {options.device!r}",
            remedy="use --device cpu, or export the model as onnx",
        )
    return "cpu"


def _refuse_what_is_fixed(about: ExportedModel, options: EncoderOptions) -> None:
    """Raises EncoderError for options that an exported graph can't follow any more."""
    if options.max_length is not None and options.max_length > about.max_length:
        raise EncoderError(
            f"the graph takes at most {about.max_length} tokens, found --max-length {options.max_length}",
            remedy="export the model again with a longer --max-length",
        )
    if options.forward != "auto":
        raise EncoderError(f"an exported graph is its own forward pass, found --forward {options.forward}")
    if options.processes > 1 or "," in options.device:
        raise EncoderError(
            "an exported graph runs in one process on one device, on every core of a CPU",
            remedy="leave --processes out and name one --device",
        )
