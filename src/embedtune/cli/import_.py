"""embedtune import: other people's layouts → a dataset, one subcommand a converter."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from embedtune import progress
from embedtune.cli.flags import command
from embedtune.cli.help import VerbApp, one_of
from embedtune.data.converters import CONVERTERS
from embedtune.data.writers import WRITERS, refuse_place, write_dataset
from embedtune.data.writing import WriterOptions
from embedtune.errors import describe_unknown
from embedtune.options import Options

__all__ = ["import_app"]

_SOURCELESS = ("docstrings", "infgrad")
_SPLITS = ("train", "val", "test")


class ConverterGroup(TyperGroup):
    """A subcommand for each converter; its module is imported only when the subcommand is used."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Returns the converters' names."""
        return CONVERTERS.names()

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        """Returns the converter's command; ends with status 2 for an unknown name."""
        if cmd_name not in CONVERTERS.names():
            ctx.fail(describe_unknown("converter", cmd_name, CONVERTERS.names()))
        single = VerbApp(rich_markup_mode=None, add_completion=False)
        source = "" if cmd_name in _SOURCELESS else "SOURCE "
        example = f"Example: embedtune import {cmd_name} {source}--out dataset.json"
        about = inspect.getdoc(CONVERTERS.load(cmd_name))
        single.command(cmd_name, help=f"{about}\n\n{example}")(_import_command(cmd_name))
        return typer.main.get_command(single)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Lists the converters without importing them."""
        with formatter.section("Converters"):
            formatter.write_dl([(name, CONVERTERS.summary(name)) for name in CONVERTERS.names()])


import_app = typer.Typer(
    cls=ConverterGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Converts other people's data to a dataset.\n\nExample: embedtune import beir scifact.zip --out scifact.json",
    subcommand_metavar="CONVERTER [SOURCE] --out D",
)


@import_app.callback()
def _converters() -> None:
    """Makes `import` a group, whose subcommands are looked up when they are used."""


def _import_command(name: str) -> Callable[..., None]:
    """Returns the command of one converter, with that converter's options as its flags."""
    converter = CONVERTERS.load(name)

    def import_command(
        out: Annotated[
            Path, typer.Option(help="A .json file, a .arrow folder, or a folder for Parquet or another layout.")
        ],
        options: Options,
        source: Annotated[
            str | None, typer.Argument(help="What to convert: a path, or a name on the Hub.", metavar="SOURCE")
        ] = None,
        to: Annotated[
            str | None,
            typer.Option(
                help=f"Layout to write: {', '.join(WRITERS.names())}; default: by --out.",
                autocompletion=one_of(WRITERS.names),
            ),
        ] = None,
        overwrite: Annotated[bool, typer.Option(help="Replace what an earlier import wrote to --out.")] = False,
    ) -> None:
        writer_options = WriterOptions(overwrite=overwrite)
        refuse_place(out, to, writer_options)
        dataset = converter.convert(source, options)
        for loss in write_dataset(dataset, out, to, writer_options):
            progress.say(f"not in this layout: {loss}")
        sizes = {split: len(dataset.queries_split.get(split, ())) for split in (*_SPLITS, *dataset.queries_split)}
        counts = ", ".join(f"{split} {size}" for split, size in sizes.items())
        progress.say(f"corpus {len(dataset.corpus)}, {counts}")

    import_command.__annotations__["options"] = converter.OPTIONS
    return command(import_command)
