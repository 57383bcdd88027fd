"""A verb whose flags are those of the plugin that one of its flags names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import typer

from embedtune.cli.flags import command
from embedtune.cli.help import GroupedCommand, VerbApp
from embedtune.errors import EmbedtuneError
from embedtune.registry import Registry

__all__ = ["plugin_command"]


def plugin_command(
    verb: str,
    flag: str,
    plugins: Registry,
    default: str,
    make: Callable[[str], Callable[..., None]],
    *,
    in_several_processes: bool = False,
) -> type[GroupedCommand]:
    """Returns the class of a verb that becomes the command of the plugin named by `flag`, such as --method.

    `make` takes the plugin's name and returns its function, as flags.command wants it. An unknown
    plugin, or one whose package isn't installed, ends with exit status 2.
    """

    class Described(GroupedCommand):
        def format_epilog(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
            """Lists the plugins, and where their flags are."""
            with formatter.section(f"Each {plugins.kind} has flags of its own, shown by {flag} NAME --help"):
                formatter.write_dl([(name, plugins.summary(name)) for name in plugins.names()])

    class PluginCommand(GroupedCommand):
        def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
            name = _named(flag, args, default)
            try:
                function = make(name)
                function.__doc__ = f"{_before_example(self.help)}\n\n{flag} {name}: {inspect.getdoc(function)}"
                function = command(function, in_several_processes=in_several_processes)
            except EmbedtuneError as error:
                typer.echo(f"embedtune: {error}", err=True)
                raise typer.Exit(2) from None
            single = VerbApp(rich_markup_mode=None, add_completion=False)
            single.command(info_name, cls=Described)(function)
            return typer.main.get_command(single).make_context(info_name, args, parent=parent, **extra)

    return PluginCommand


def _before_example(text: str | None) -> str:
    return (text or "").partition("Example:")[0].strip()


def _named(flag: str, args: Sequence[str], default: str) -> str:
    """Returns the value of the flag among the words of a command, the last one as typer would take it."""
    found = default
    for place, word in enumerate(args):
        if word.startswith(f"{flag}="):
            found = word.partition("=")[2]
        elif word == flag and place + 1 < len(args):
            found = args[place + 1]
    return found
