"""embedtune import: other people's layouts → embedtune's dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from embedtune import progress
from embedtune.cli.flags import command
from embedtune.data.converters import CONVERTERS
from embedtune.data.converters.docstrings import DocstringOptions
from embedtune.errors import StorageError

__all__ = ["import_command"]


@command
def import_command(
    name: Annotated[str, typer.Argument(help="Converter: docstrings.", metavar="NAME")],
    options: DocstringOptions,
    out: Annotated[Path, typer.Option(help="Dataset file to write.")],
    source: Annotated[
        Path | None, typer.Argument(help="What to convert; docstrings reads installed packages without it.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Converts a source to a dataset.

    Example: embedtune import docstrings --packages numpy --packages json --documents 300 --out d.json
    """
    converter = CONVERTERS.load(name)
    if out.exists() and not overwrite:
        raise StorageError(f"{out} exists already and stays as it is", remedy="pass --overwrite to replace it")
    dataset = converter.convert(source, options)
    dataset.write(out)
    splits = ", ".join(f"{split} {len(ids)}" for split, ids in dataset.queries_split.items())
    progress.say(f"{out}: corpus {len(dataset.corpus)}, {splits}")
