"""Frozen options that refuse unknown keys and name the nearest known one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from embedtune.errors import OptionsError, describe_unknown

__all__ = ["Options"]


class Options(BaseModel):
    """The base of every options class; its fields are the flags and the recipe keys.

    A field's description is the help text of its flag, HEADING what the flags stand under; "" is
    among those of the verb itself. Raises OptionsError with all faults
    at once, where pydantic would raise its own ValidationError.
    """

    HEADING: ClassVar[str] = ""
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    if not TYPE_CHECKING:  # so that type checkers see the fields as parameters

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise _as_options_error(type(self), error) from None


def _as_options_error(options: type[Options], error: ValidationError) -> OptionsError:
    lines = []
    for fault in error.errors():
        name = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            lines.append(describe_unknown("option", name, options.model_fields))
        elif fault["type"] == "literal_error":
            choices = [str(choice) for choice in get_args(options.model_fields[name].annotation)]
            lines.append(describe_unknown(f"value for option {name!r}:", str(fault["input"]), choices))
        else:
            lines.append(f"option {name!r}: {fault['msg']}, found {fault['input']!r}")
    return OptionsError("\n".join(lines), where=options.__qualname__)
