"""embedtune card: a model's README.md, and the model to the Hub when asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from embedtune import progress
from embedtune.cli.flags import command
from embedtune.export.card_options import CardOptions

__all__ = ["card_command"]


@command
def card_command(
    model: Annotated[Path, typer.Argument(help="Folder that embedtune train, merge or export wrote.", metavar="MODEL")],
    options: CardOptions,
    push: Annotated[
        str | None, typer.Option(help="Send the folder to this repository of the Hub; the token is in $HF_TOKEN.")
    ] = None,
    public: Annotated[bool, typer.Option(help="Make a new repository public; it is private otherwise.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace a README.md that this command didn't write.")] = False,
) -> None:
    """Writes a model card, and sends the model to the Hub if asked.

    The card has base, data, method, figures with intervals, limits and licence.

    Example: embedtune card tuned --results runs/base,runs/tuned --license apache-2.0
    """
    from embedtune.export.hub_push import push_folder
    from embedtune.export.model_card import write_model_card

    path = write_model_card(model, options, overwrite=overwrite)
    progress.say(f"wrote {path}")
    if push is not None:
        typer.echo(push_folder(model, push, public=public))
