"""The folder around a graph: sentence-transformers' layout, the tokenizer, and how to use both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from embedtune.errors import EncoderError
from embedtune.export.graph import DOCUMENT_OUTPUT, QUERY_OUTPUT
from embedtune.export.source import ExportSource
from embedtune.models.exported_model import TOKENIZER, ExportedModel

__all__ = ["write_around"]

_NO_LIMIT = 512


def write_around(
    source: ExportSource,
    folder: Path,
    *,
    backend: str,
    graph: str,
    inputs: Sequence[str],
    precisions: Sequence[str],
) -> ExportedModel:
    """Writes all of an exported folder but its graph, and returns how it is used.

    tokenizer.json cuts and fills up by itself, so a runtime needs no transformers. Raises
    EncoderError where the model's tokenizer can't be written so.
    """
    source.save(folder, weights=False)
    limit = source.model.max_seq_length or _NO_LIMIT
    side, pad = _write_tokenizer(source, folder / TOKENIZER, limit)
    about = ExportedModel(
        backend=backend,
        graph=graph,
        inputs=tuple(inputs),
        document_output=DOCUMENT_OUTPUT,
        query_output=DOCUMENT_OUTPUT if source.query_map is None else QUERY_OUTPUT,
        max_length=limit,
        dim=source.model.get_embedding_dimension(),
        similarity="cosine" if source.normalise else "dot",
        precisions=tuple(precisions),
        pad_token_id=pad,
        padding_side=side,
        **source.prompts(),
    )
    about.write(folder)
    return about


def _write_tokenizer(source: ExportSource, path: Path, limit: int) -> tuple[str, int]:
    """Writes the tokenizer with its length limit and padding; returns the padding's side and token."""
    tokenizer = source.model.tokenizer
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise EncoderError(
            f"the tokenizer of {source.name} ({type(tokenizer).__name__}) isn't one of the tokenizers library, "
            "which an exported folder is read with",
            remedy="export as fp16 or bf16",
        )
    side, pad = str(tokenizer.padding_side), int(tokenizer.pad_token_id or 0)
    plain = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    plain.enable_truncation(limit)
    plain.enable_padding(direction=side, pad_id=pad, pad_token=tokenizer.pad_token or "[PAD]")
    plain.save(str(path))
    return side, pad
