"""The JSON Schema of a recipe, which editors complete and check with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from embedtune.errors import MissingPackageError
from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options
from embedtune.pipeline.kinds import kind_names, kind_summary, load_kind
from embedtune.pipeline.recipe import TOP_KEYS
from embedtune.pipeline.step_kind import StepInput, StepKind

__all__ = ["recipe_schema"]

_TEXT = {"type": "string"}
_SHAPES: dict[str, dict[str, Any]] = {
    "one": _TEXT,
    "list": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]},
    "named": {"anyOf": [{"type": "object", "additionalProperties": _TEXT}, {"type": "array", "items": _TEXT}]},
    "pairs": {
        "type": "object",
        "additionalProperties": {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2},
    },
}


def recipe_schema() -> dict[str, Any]:
    """Returns the schema; the options of plugins whose package isn't installed aren't in it."""
    kinds = {name: _kind_schema(name) for name in kind_names()}
    by_do = {
        "required": ["do"],
        "properties": {"do": {"enum": list(kinds)}},
        "allOf": [
            {"if": {"properties": {"do": {"const": name}}, "required": ["do"]}, "then": {"$ref": f"#/$defs/{name}"}}
            for name in kinds
        ],
    }
    by_name = {name: {"if": {"required": ["do"]}, "then": by_do, "else": {"$ref": f"#/$defs/{name}"}} for name in kinds}
    top: dict[str, Any] = {name: {"description": description, **_TEXT} for name, description in TOP_KEYS.items()}
    top["encoder_options"] |= {
        "type": "object",
        "properties": _properties(EncoderOptions),
        "additionalProperties": False,
    }
    top["guard"] |= _SHAPES["named"]["anyOf"][0]
    top["steps"] |= {"type": "object", "properties": by_name, "additionalProperties": by_do}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "embedtune recipe",
        "type": "object",
        "properties": top,
        "required": ["steps"],
        "additionalProperties": False,
        "$defs": kinds,
    }


def _kind_schema(name: str) -> dict[str, Any]:
    kind = load_kind(name)
    properties: dict[str, Any] = {"do": {"const": name, "description": kind_summary(name)}}
    for one in kind.inputs:
        properties[one.name] = _SHAPES[one.shape] | {"description": one.description}
    for options in _classes(kind):
        for field, described in _properties(options).items():
            properties.setdefault(field, described)
    for option, plugins in kind.plugins.items():
        named: dict[str, Any] = {"enum": plugins.names()}
        listed = properties[option].get("type") == "array"
        properties[option] |= {"items": named} if listed else named
    required = [one.name for one in kind.inputs if _is_required(one)]
    schema: dict[str, Any] = {"type": ["object", "null"], "description": kind_summary(name), "properties": properties}
    return schema | {"required": required, "additionalProperties": False}


def _is_required(one: StepInput) -> bool:
    return not one.optional and one.default is None


def _classes(kind: StepKind) -> Iterator[type[Options]]:
    """Yields the classes of a kind's options, with those of every plugin."""
    if not kind.plugins:
        yield from kind.options({})
    for option, plugins in kind.plugins.items():
        for name in plugins.names():
            try:
                yield from kind.options({option: [name] if option == "filters" else name})
            except MissingPackageError:
                continue


def _properties(options: type[Options]) -> dict[str, Any]:
    """Returns the fields' schemas by the spelling that recipes use."""
    found: dict[str, Any] = options.model_json_schema(by_alias=True)["properties"]
    return {name: {key: value for key, value in one.items() if key != "title"} for name, one in found.items()}
