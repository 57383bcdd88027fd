"""embedtune init: a commented recipe for the data at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from embedtune import progress
from embedtune.artifact import write_text_whole
from embedtune.cli.flags import command
from embedtune.errors import OptionsError, StorageError, describe_unknown

__all__ = ["init_command"]

_LANGUAGES = ("auto", "en", "zh")


@command
def init_command(
    data: Annotated[
        Path | None, typer.Option(help="Dataset, or a folder of documents (text, Markdown, HTML, PDF, Word).")
    ] = None,
    encoder: Annotated[str, typer.Option(help="minilm, a model folder, or a name on the Hugging Face Hub.")] = "minilm",
    out: Annotated[Path, typer.Option(help="The recipe to write.")] = Path("recipe.yaml"),
    language: Annotated[str, typer.Option(help="Of the comments: en, zh, or auto for the data's.")] = "auto",
    schema: Annotated[
        bool,
        typer.Option("--schema", help="Write recipe.schema.json beside it, for editors; without --data only that."),
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing recipe.")] = False,
) -> None:
    """Writes a commented recipe for your data.

    Example: embedtune init --data dataset.json --encoder minilm --out recipe.yaml
    """
    from embedtune.pipeline.data_facts import look_at
    from embedtune.pipeline.drafting import draft_recipe
    from embedtune.pipeline.schema import recipe_schema

    if language not in _LANGUAGES:
        raise OptionsError(describe_unknown("language", language, _LANGUAGES))
    if data is None and not schema:
        raise OptionsError("no data was named", remedy="name it with --data, or pass --schema for the schema alone")
    if data is not None and out.exists() and not overwrite:
        raise StorageError(f"{out} exists already and stays as it is", remedy="pass --overwrite to replace it")
    place = out.with_name(f"{out.stem}.schema.json")
    if schema:
        write_text_whole(place, json.dumps(recipe_schema(), ensure_ascii=False, indent=1) + "\n")
        progress.say(f"wrote {place}")
    if data is not None:
        text = draft_recipe(look_at(data), encoder, language, place.name if schema else None)  # type: ignore[arg-type]
        write_text_whole(out, text)
        progress.say(f"wrote {out}; next: embedtune plan {out}")
