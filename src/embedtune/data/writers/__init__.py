"""RetrievalDataset → other people's layouts; each file is a writer of that name.

A writer has KIND, the word for what it writes, and `write(dataset, path, options) -> list[str]`,
which returns what the layout couldn't hold, a line each.
"""

from pathlib import Path

from embedtune.artifact import refuse_strangers
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.writing import WriterOptions
from embedtune.registry import Registry

__all__ = ["WRITERS", "refuse_place", "write_dataset", "writer_for"]

WRITERS = Registry(__name__, "writer")


def writer_for(path: Path, to: str | None) -> str:
    """Returns the writer asked for; by default json for .json, arrow for .arrow, parquet for any folder."""
    return to or {".json": "json", ".arrow": "arrow"}.get(path.suffix.lower(), "parquet")


def refuse_place(path: Path, to: str | None, options: WriterOptions) -> None:
    """Raises StorageError if something is in the way, OptionsError for an unknown writer; call it before long work."""
    name = writer_for(path, to)
    kind = WRITERS.load(name).KIND
    if not (name == "json" and options.overwrite and path.is_file()):
        refuse_strangers(path, kind, options.overwrite)


def write_dataset(
    dataset: RetrievalDataset, path: str | Path, to: str | None = None, options: WriterOptions | None = None
) -> list[str]:
    """Writes the dataset whole or not at all; returns what the layout couldn't hold.

    Raises OptionsError for an unknown writer, StorageError where something is in the way.
    """
    place, chosen = Path(path), options or WriterOptions()
    refuse_place(place, to, chosen)
    losses: list[str] = WRITERS.load(writer_for(place, to)).write(dataset, place, chosen)
    return losses
