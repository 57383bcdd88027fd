"""The dataset's own Parquet folder, which holds everything and opens without loading its texts."""

from __future__ import annotations

from pathlib import Path

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.parquet_format import DATASET, write_parquet
from embedtune.data.writing import WriterOptions

__all__ = ["KIND", "write"]

KIND = DATASET


def write(dataset: RetrievalDataset, path: Path, options: WriterOptions) -> list[str]:
    """Writes the folder; nothing is lost."""
    write_parquet(dataset, path)
    return []
