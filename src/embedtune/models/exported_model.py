"""An exported folder: one graph from token ids to vectors, and all that a runtime has to know about it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import Field

from embedtune.errors import EncoderError, OptionsError
from embedtune.models.encoder import Vectors
from embedtune.options import Options

__all__ = ["ABOUT", "TOKENIZER", "ExportedModel", "Graph", "is_exported", "refuse_gradients"]

ABOUT = "embedtune_encoder.json"
TOKENIZER = "tokenizer.json"
_BYTES_AT_ONCE = 1 << 20


class Graph(Protocol):
    """A loaded graph."""

    inputs: Sequence[str]
    outputs: Sequence[str]
    on_gpu: bool

    def run(self, inputs: Mapping[str, Any], output: str) -> Vectors:
        """Returns one output for (texts, tokens) int64 inputs; may be called from several threads."""


class ExportedModel(Options):
    """How a graph's folder is used; the content of embedtune_encoder.json."""

    backend: str = Field(description="The file in models/backends that runs it.")
    graph: str = Field(description="The graph's file, from the folder.")
    inputs: tuple[str, ...] = Field(description="Of input_ids, attention_mask and token_type_ids, those it takes.")
    document_output: str = Field(description="The output that is a document's vector.")
    query_output: str = Field(description="The output that is a query's vector.")
    document_prompt: str = Field(description="Text put before every document.")
    query_prompt: str = Field(description="Text put before every query.")
    max_length: int = Field(ge=2, description="Longest text in tokens, special tokens included.")
    dim: int = Field(ge=1, description="Length of one vector.")
    similarity: Literal["cosine", "dot"] = Field(description="How vectors are compared; of unit length for cosine.")
    precisions: tuple[str, ...] = Field(min_length=1, description="What it can be computed in, the usual one first.")
    pad_token_id: int = Field(description="The token that fills up shorter texts.")
    padding_side: Literal["left", "right"] = Field(description="Where it does.")

    @classmethod
    def read(cls, folder: Path) -> ExportedModel:
        """Returns what a folder says; raises EncoderError where that, or a file it names, isn't there."""
        path = folder / ABOUT
        try:
            about = cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, OptionsError) as error:
            raise _damaged(path, str(error)) from error
        inside = (folder / about.graph).resolve().is_relative_to(folder.resolve())
        missing = [name for name in (about.graph, TOKENIZER) if not (folder / name).is_file()]
        if missing or not inside:
            raise _damaged(folder, f"{missing[0]} is missing" if missing else f"{about.graph} lies outside")
        return about

    def write(self, folder: Path) -> None:
        """Writes the file into an exported folder."""
        text = json.dumps(self.model_dump(), ensure_ascii=False, indent=1) + "\n"
        (folder / ABOUT).write_text(text, encoding="utf-8")

    def fingerprint(self, folder: Path) -> str:
        """Returns a SHA-256 (hexadecimal) of the graph's files, the tokenizer, and how they are used.

        Prompts and the length limit aren't in it: they are cache keys of their own.
        """
        used = self.model_dump(exclude={"document_prompt", "query_prompt", "max_length"})
        digest = hashlib.sha256(json.dumps(used, sort_keys=True).encode())
        graph_files = sorted(path for path in (folder / self.graph).parent.iterdir() if path.is_file())
        for path in (folder / TOKENIZER, *graph_files):
            digest.update(path.name.encode())
            with path.open("rb") as file:
                while block := file.read(_BYTES_AT_ONCE):
                    digest.update(block)
        return digest.hexdigest()


def is_exported(name: str | Path) -> bool:
    """Returns whether an encoder's name is the folder of an exported graph."""
    return (Path(name).expanduser() / ABOUT).is_file()


def refuse_gradients(name: str) -> None:
    """Raises EncoderError where the name is an exported graph's folder, which can't be trained or exported again."""
    if is_exported(name):
        raise EncoderError(
            f"{name} holds an exported graph, which has no weights to train, map or export again",
            remedy="name the model that it was exported from; an exported folder can be evaluated, mined and searched "
            "with",
        )


def _damaged(path: Path, found: str) -> EncoderError:
    return EncoderError(f"the exported folder is damaged: {found}", where=str(path), remedy="export the model again")
