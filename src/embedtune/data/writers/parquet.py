"""The dataset's own Parquet folder, which holds everything and opens without loading its texts."""

from __future__ import annotations

from pathlib import Path

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.parquet_table import ParquetTable
from embedtune.data.table_folder import DATASET, write_folder
from embedtune.data.writing import WriterOptions

__all__ = ["KIND", "write"]

KIND = DATASET


def write(dataset: RetrievalDataset, path: Path, options: WriterOptions) -> list[str]:
    """Writes the folder; nothing is lost."""
    write_folder(dataset, path, ParquetTable)
    return []
