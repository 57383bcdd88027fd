"""A small retrieval dataset over many subjects, English and Chinese, that the project wrote itself.

It is the guard of whoever has none of their own: a model tuned on one subject should still find these documents.
The texts are in `dataset.json`, in the dataset format, under the project's licence; no text was copied. Documents
come in groups of near neighbours (`en-tea-1` to `en-tea-4`), and many queries share few words with their document.
"""

from __future__ import annotations

from pathlib import Path

from embedtune.data.dataset import RetrievalDataset

__all__ = ["GENERAL", "general_guard"]

GENERAL = Path(__file__).with_name("dataset.json")
"""The dataset's file; every command takes it."""


def general_guard() -> RetrievalDataset:
    """Returns the general set: one corpus in two languages; all queries are in the split "test"."""
    return RetrievalDataset.read(GENERAL)
