"""A reply's text → a value of the wanted schema; of a damaged list, the items that are whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ValidationError

from embedtune.language.chat import Schema
from embedtune.language.lenient import lenient_objects

__all__ = ["Parsed", "parse_reply"]

_THOUGHTS = re.compile(r"<(think|thinking|reasoning)>.*?</\1>|^.*?</(?:think|thinking|reasoning)>", re.DOTALL)
_DECODER = json.JSONDecoder(strict=False)  # line breaks inside of strings are let through


@dataclass(frozen=True)
class Parsed(Generic[Schema]):
    """The value, or None; whether it had to be picked from a damaged reply; how many items were lost; why."""

    value: Schema | None
    salvaged: bool = False
    lost: int = 0
    problem: str = ""


def parse_reply(text: str, schema: type[Schema]) -> Parsed[Schema]:
    """Returns what a reply says, of the type `schema`.

    A reply that is valid as it stands, alone or in prose or a code fence, is taken (the last one,
    where there are several). Else, where the schema is one list of objects, every object of the
    reply that is itself whole and valid goes into the list.
    """
    text = _THOUGHTS.sub("", text).replace("\ufeff", "")
    if not text.strip():
        return Parsed(None, problem="the reply is empty")
    spans = list(_decoded(text))
    problem = "no JSON in the reply" if not spans else ""
    for _, _, value in reversed(spans):
        try:
            return Parsed(schema.model_validate(value))
        except ValidationError as error:
            problem = problem or _first_fault(error)
    field, item = _list_of(schema)
    if item is None:
        return _lenient_value(text, schema, problem)
    items, lost = _salvaged(text, spans, item)
    if not items:
        return Parsed(None, lost=lost, problem=problem)
    return Parsed(schema.model_validate({field: items}), salvaged=True, lost=lost, problem=problem)


def _decoded(text: str) -> Iterator[tuple[int, int, Any]]:
    """Yields (start, end, value) of each JSON object or list, outermost first where it is whole."""
    position = 0
    while (found := re.compile(r"[{\[]").search(text, position)) is not None:
        start = found.start()
        try:
            value, position = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            position = start + 1
            continue
        yield start, position, value


def _salvaged(text: str, spans: list[tuple[int, int, Any]], item: type[BaseModel]) -> tuple[list[Any], int]:
    """Returns the valid items, each once, in the order of the text, and how many were there but not valid."""
    names = _names(item)
    known = sorted({name for choices in names.values() for name in choices}, key=lambda name: (-len(name), name))
    candidates: list[dict[str, Any]] = []
    end = 0
    for start, stop, value in [*spans, (len(text), len(text), None)]:
        candidates += lenient_objects(text[end:start], known)
        candidates += _objects(value, set(known))
        end = stop
    items: list[Any] = []
    lost = 0
    for candidate in candidates:
        try:
            found = item.model_validate(candidate)
        except ValidationError:
            lost += 1
            continue
        if found not in items:
            items.append(found)
    return [found.model_dump(by_alias=False) for found in items], lost


def _lenient_value(text: str, schema: type[Schema], problem: str) -> Parsed[Schema]:
    known = sorted({name for choices in _names(schema).values() for name in choices}, key=lambda name: -len(name))
    for candidate in reversed(list(lenient_objects(text, known))):
        try:
            return Parsed(schema.model_validate(candidate), salvaged=True, problem=problem)
        except ValidationError:
            continue
    return Parsed(None, problem=problem)


def _objects(value: Any, known: set[str]) -> Iterator[dict[str, Any]]:
    """Yields the objects that have one of the known names, at any depth."""
    if isinstance(value, dict):
        named = {str(name).strip().lower(): part for name, part in value.items()}
        if known & named.keys():
            yield named
            return
        for part in value.values():
            yield from _objects(part, known)
    elif isinstance(value, list):
        for part in value:
            yield from _objects(part, known)


def _list_of(schema: type[BaseModel]) -> tuple[str, type[BaseModel] | None]:
    """Returns the one field that is a list of objects, and their type; ("", None) for other schemas."""
    if len(schema.model_fields) == 1:
        ((name, field),) = schema.model_fields.items()
        if get_origin(field.annotation) is list:
            (item,) = get_args(field.annotation)
            if isinstance(item, type) and issubclass(item, BaseModel):
                return name, item
    return "", None


def _names(model: type[BaseModel]) -> dict[str, list[str]]:
    """Returns each field's accepted names."""
    names: dict[str, list[str]] = {}
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
        names[name] = [choice for choice in choices if isinstance(choice, str)]
    return names


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in fault["loc"])
    return f"{place}: {fault['msg']}" if place else fault["msg"]
