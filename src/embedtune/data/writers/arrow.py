"""The dataset's own Arrow folder, which holds everything and is mapped into memory."""

from __future__ import annotations

from pathlib import Path

from embedtune.data.arrow_table import ArrowTable
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.table_folder import DATASET, write_folder
from embedtune.data.writing import WriterOptions

__all__ = ["KIND", "write"]

KIND = DATASET


def write(dataset: RetrievalDataset, path: Path, options: WriterOptions) -> list[str]:
    """Writes the folder; nothing is lost."""
    write_folder(dataset, path, ArrowTable)
    return []
