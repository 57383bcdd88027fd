"""Turns Options classes into flags, and errors into messages with an exit status."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from pydantic.fields import FieldInfo

from embedtune import processes, progress
from embedtune.cli.help import one_of
from embedtune.errors import EmbedtuneError, OptionsError
from embedtune.options import Options

__all__ = ["command"]

_USER_MISTAKE = 2
_STOPPED = 130


def command(function: Callable[..., None], *, in_several_processes: bool = False) -> Callable[..., None]:
    """Returns the function as typer wants it.

    A parameter whose type is an Options class becomes one flag for each of its fields, with the
    field's description as help, under the class's heading; two classes that share a field share
    its flag. An EmbedtuneError is printed without a traceback and ends with exit status 2. Where
    torchrun started several processes, one shows progress and prints; a function that isn't made
    for several is refused there.
    """
    hints = get_type_hints(function, include_extras=True)
    options = {name: hint for name, hint in hints.items() if inspect.isclass(hint) and issubclass(hint, Options)}
    fields = {name: (field, hint.HEADING) for hint in options.values() for name, field in hint.model_fields.items()}
    plain = [
        parameter.replace(annotation=hints[name])
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in options
    ]
    flags = [_flag(name, field, heading) for name, (field, heading) in fields.items()]

    @functools.wraps(function)
    def run(**values: Any) -> None:
        with progress.shown() if processes.is_writer() else contextlib.nullcontext():
            try:
                if not in_several_processes:
                    _refuse_several_processes()
                given = {
                    name: hint(**{field: values[field] for field in hint.model_fields})
                    for name, hint in options.items()
                }
                function(**{parameter.name: values[parameter.name] for parameter in plain}, **given)
                return
            except EmbedtuneError as error:
                message, status = str(error), _USER_MISTAKE
                processes.let_others_speak_first(error)
            except KeyboardInterrupt:
                message, status = "stopped; what is finished is kept", _STOPPED
                if not processes.is_writer():
                    raise typer.Exit(status) from None
        typer.echo(f"embedtune: {message}", err=True)
        raise typer.Exit(status)

    run.__signature__ = inspect.Signature([*plain, *flags])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*plain, *flags]}
    return run


def _refuse_several_processes() -> None:
    if processes.count() > 1:
        raise OptionsError(
            f"{processes.count()} processes were started together, and only embedtune train works in several",
            remedy="run it without torchrun",
        )


def _flag(name: str, field: FieldInfo, heading: str) -> inspect.Parameter:
    spelled = () if field.alias is None else (f"--{field.alias}",)
    option = typer.Option(
        *spelled,
        help=field.description,
        show_default=field.default not in (None, ()),
        rich_help_panel=heading or None,
        autocompletion=_completion(field.annotation),
    )
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[_flag_type(field.annotation), option],
    )


def _completion(annotation: Any) -> Callable[[str], list[str]] | None:
    """Returns what completes a value that is one of some texts; None for any other."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next((part for part in get_args(annotation) if get_origin(part) is Literal), annotation)
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    return one_of(lambda: map(str, choices)) if choices else None


def _flag_type(annotation: Any) -> Any:
    """Returns the type that typer reads; choices stay texts, so that Options names the nearest one."""
    origin = get_origin(annotation)
    if origin is Literal:
        return str
    if origin is tuple:
        return list[str]
    if origin in (Union, UnionType):
        inner = [_flag_type(part) for part in get_args(annotation) if part is not type(None)]
        return inner[0] | None
    return annotation
