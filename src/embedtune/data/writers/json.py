"""The dataset's own JSON file, which holds everything."""

from __future__ import annotations

from pathlib import Path

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.json_format import write_json
from embedtune.data.writing import WriterOptions

__all__ = ["KIND", "write"]

KIND = "JSON dataset"


def write(dataset: RetrievalDataset, path: Path, options: WriterOptions) -> list[str]:
    """Writes the file; nothing is lost."""
    write_json(dataset, path)
    return []
