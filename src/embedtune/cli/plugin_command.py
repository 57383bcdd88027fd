"""A verb whose flags are those of the plugin that one of its flags names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer.core import TyperCommand

from embedtune.cli.flags import command
from embedtune.errors import EmbedtuneError
from embedtune.registry import Registry

__all__ = ["plugin_command"]


def plugin_command(
    verb: str, flag: str, plugins: Registry, default: str, make: Callable[[str], Callable[..., None]]
) -> type[TyperCommand]:
    """Returns the class of a verb that becomes the command of the plugin named by `flag`, such as --method.

    `make` takes the plugin's name and returns its function, as flags.command wants it. An unknown
    plugin, or one whose package isn't installed, ends with exit status 2.
    """

    class PluginCommand(TyperCommand):
        def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
            try:
                function = command(make(_named(flag, args, default)))
            except EmbedtuneError as error:
                typer.echo(f"embedtune: {error}", err=True)
                raise typer.Exit(2) from None
            listed = " ".join(f"{name}: {plugins.summary(name)}" for name in plugins.names())
            shown = f"shown by embedtune {verb} {flag} NAME --help"
            epilog = f"Each {plugins.kind} has flags of its own, {shown}. {listed}"
            single = typer.Typer(rich_markup_mode=None, add_completion=False)
            single.command(info_name, epilog=epilog)(function)
            return typer.main.get_command(single).make_context(info_name, args, parent=parent, **extra)

    return PluginCommand


def _named(flag: str, args: Sequence[str], default: str) -> str:
    """Returns the value of the flag among the words of a command, the last one as typer would take it."""
    found = default
    for place, word in enumerate(args):
        if word.startswith(f"{flag}="):
            found = word.partition("=")[2]
        elif word == flag and place + 1 < len(args):
            found = args[place + 1]
    return found
