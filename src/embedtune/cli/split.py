"""embedtune split: queries → train, val and test, without leaks between them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from embedtune import progress
from embedtune.cli.flags import command
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.splits import SplitOptions, split_dataset
from embedtune.errors import StorageError

__all__ = ["split_command"]


@command
def split_command(
    dataset: Annotated[Path, typer.Argument(help="Dataset: a JSON file or a folder of tables.", metavar="D")],
    options: SplitOptions,
    out: Annotated[Path, typer.Option(help="Dataset to write: .json, .arrow (a folder), or a Parquet folder.")],
    overwrite: Annotated[bool, typer.Option(help="Replace an existing --out.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Divides the queries; near-duplicates stay together.

    Example: embedtune split dataset.json --by document --val 0.1 --test 0.2 --out divided.json
    """
    if out.exists() and not overwrite:
        raise StorageError(f"{out} exists already and stays as it is", remedy="pass --overwrite to replace it")
    result = split_dataset(RetrievalDataset.read(dataset), options)
    result.dataset.write(out)
    if json_output:
        content = {
            "out": str(out),
            "options": options.model_dump(),
            "splits": {split: len(ids) for split, ids in result.dataset.queries_split.items()},
            "groups": result.groups,
            "largest_group": result.largest_group,
            "near_queries": result.near_queries,
            "near_documents": result.near_documents,
            "shared_documents": result.shared_documents,
        }
        typer.echo(json.dumps(content, indent=2))
    else:
        typer.echo("\n".join(result.words()))
    progress.say(f"wrote {out}")
