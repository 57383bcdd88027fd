"""embedtune's own datasets, a JSON file or a folder of tables, to write them in another layout."""

from __future__ import annotations

from pathlib import Path

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.text_files import existing_path
from embedtune.options import Options

__all__ = ["OPTIONS", "EmbedtuneOptions", "convert"]


class EmbedtuneOptions(Options):
    """Nothing has to be chosen."""


OPTIONS = EmbedtuneOptions


def convert(source: str | Path | None, options: EmbedtuneOptions) -> RetrievalDataset:
    """Returns the dataset as it is."""
    return RetrievalDataset.read(existing_path(source, "a dataset of embedtune's"))
