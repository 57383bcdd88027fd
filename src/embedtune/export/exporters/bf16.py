"""A sentence-transformers folder with weights in bfloat16: half the size, loads like the model itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from embedtune.export.export_options import HalfOptions

if TYPE_CHECKING:
    from embedtune.export.source import ExportSource

__all__ = ["OPTIONS", "export"]

OPTIONS = HalfOptions


def export(source: ExportSource, folder: Path, options: HalfOptions) -> Iterator[str]:
    """Writes the transformer's weights in bfloat16; pooling and a map of queries stay as they are."""
    from embedtune.export.half_weights import save_half

    yield save_half(source, folder, "bfloat16")
