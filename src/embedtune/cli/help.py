"""How --help reads: the verbs on one screen, and a verb's flags under headings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["GroupedCommand", "VerbApp", "VerbGroup", "one_of"]

_MORE = "VERB --help shows flags and an example; --install-completion sets up Tab."


class GroupedCommand(TyperCommand):
    """Lists the flags that several verbs share under headings of their own, after the verb's."""

    def format_options(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Writes arguments, the verb's own flags, then each group."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                own = "Arguments" if param.param_type_name == "argument" else "Options"
                groups.setdefault(getattr(param, "rich_help_panel", None) or own, []).append(record)
        for heading, records in groups.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


class VerbApp(typer.Typer):
    """An app whose commands show their flags under headings."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """Registers a command; see typer."""
        return super().command(name, **{"cls": GroupedCommand} | settings)


class VerbGroup(TyperGroup):
    """Shows every verb on one screen: its own flags, which are few, are named in one line below."""

    def format_options(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Writes the verbs, and where there is more."""
        self.format_commands(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(_MORE)


def one_of(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Returns what completes a flag's value with Tab; `names` is asked when Tab is pressed."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names() if name.startswith(incomplete)]

    return complete
