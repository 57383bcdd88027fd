"""What fp16 and bf16 share: the transformer's weights in 16 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch

from embedtune.errors import EncoderError
from embedtune.export.source import ExportSource
from embedtune.models.sentence_transformer import DTYPES

__all__ = ["save_half"]


def save_half(source: ExportSource, folder: Path, dtype: str) -> str:
    """Writes the folder and returns what was done; raises EncoderError where a weight doesn't fit."""
    transformer = cast("Any", source.model[0])
    transformer.to(DTYPES[dtype])
    too_large = [name for name, weight in transformer.named_parameters() if not torch.isfinite(weight).all()]
    if too_large:
        raise EncoderError(
            f"{len(too_large)} weights of {source.name} are too large for {dtype}, the first is {too_large[0]}",
            remedy="use bf16, which has float32's range",
        )
    source.save(folder, weights=True)
    return f"weights in {dtype}"
