"""Which engine encodes and searches a corpus, and how its work is divided."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from embedtune.options import Options

__all__ = ["EngineOptions"]


class EngineOptions(Options):
    """Which engine encodes and searches documents, and how the work is divided; local divides nothing."""

    HEADING: ClassVar[str] = "Engine"

    engine: str = Field(
        default="local",
        description="local, or ray: documents are encoded and searched by the workers of a Ray cluster, the one at "
        "$RAY_ADDRESS or, where that isn't set, one on this machine.",
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        description="ray: most workers at once; default: what the cluster has GPUs or cores for.",
    )
    cores_per_worker: int = Field(default=1, ge=1, description="ray: processor cores of a worker.")
    block_documents: int = Field(
        default=10_000, ge=1, description="ray: documents encoded together, and again where a worker dies over them."
    )
    vectors: str | None = Field(
        default=None,
        description="ray: folder or URL for the documents' vectors, which every worker reaches; default: the cache.",
    )
