"""Where vectors are cached, and how exactly."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from embedtune.models.cache import CachePrecision, EmbeddingCache, default_cache_folder
from embedtune.options import Options

__all__ = ["CacheOptions"]


class CacheOptions(Options):
    """The cache that a command keeps vectors in."""

    HEADING: ClassVar[str] = "Cache of vectors"

    cache_dir: Path | None = Field(
        default=None,
        description="Folder of cached vectors, and of the replies that synth and run store; default: "
        "$EMBEDTUNE_CACHE_DIR or the user's cache.",
    )
    cache_precision: CachePrecision = Field(
        default="float32",
        description="float32, or float16 for half the disk; vectors are then rounded, the first time too.",
    )

    @property
    def replies(self) -> Path | None:
        """Returns where a language model's replies are kept; None for the usual place."""
        return None if self.cache_dir is None else self.cache_dir / "replies"

    def open(self) -> EmbeddingCache:
        """Returns the cache."""
        return EmbeddingCache(self.cache_dir or default_cache_folder(), self.cache_precision)
