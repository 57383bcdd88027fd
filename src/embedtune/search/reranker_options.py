"""How a cross-encoder is loaded and run."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from embedtune.models.encoder import FloatPrecision
from embedtune.options import Options

__all__ = ["RerankerOptions"]


class RerankerOptions(Options):
    """How a cross-encoder is loaded and run; precision, device and batch size are as for encoders."""

    HEADING: ClassVar[str] = "Reranker"

    precision: FloatPrecision = Field(
        default="auto", description="auto takes bfloat16 where the hardware computes in it, else float32."
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps.")
    tokens_per_batch: int = Field(default=8192, ge=64, description="Tokens encoded at once, padding included.")
    rerank_max_length: int | None = Field(
        default=None, ge=8, description="Longest query and document together, in tokens; default: the model's limit."
    )
    rerank_revision: str | None = Field(default=None, description="Branch, tag or commit of a reranker on the Hub.")
    rerank_trust_remote_code: bool = Field(default=False, description="Run Python code that comes with the reranker.")
