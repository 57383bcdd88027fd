"""A recipe's YAML → plain values and the line of each, and changes made on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from embedtune.errors import OptionsError, StorageError

__all__ = ["KeyPath", "RecipeText", "apply_changes", "read_recipe_text"]

_LARGEST_BYTES = 1_000_000
_MOST_VALUES = 20_000

KeyPath = tuple[str, ...]
"""The keys that lead to a value, such as ("steps", "train", "epochs")."""


@dataclass(frozen=True)
class RecipeText:
    """What the file says, and where; `changed` holds what the command line set instead, by the words that did."""

    path: Path
    values: dict[str, Any]
    lines: Mapping[KeyPath, int]
    changed: Mapping[KeyPath, str] = field(default_factory=dict)

    def where(self, keys: KeyPath) -> str:
        """Returns the file and line of a value, or the --set that gave it; of the nearest one around it else."""
        for length in range(len(keys), 0, -1):
            if keys[:length] in self.changed:
                return f"--set {self.changed[keys[:length]]}"
            if keys[:length] in self.lines:
                return f"{self.path}:{self.lines[keys[:length]]}"
        return str(self.path)


def read_recipe_text(path: Path) -> RecipeText:
    """Returns the recipe in a file; raises OptionsError for what isn't YAML, or says a thing twice."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StorageError(
            f"{path} can't be read: {error.strerror}", remedy="write a recipe with embedtune init --data D --encoder E"
        ) from error
    if len(content) > _LARGEST_BYTES:
        raise OptionsError(f"{path} has {len(content):,} bytes, too many for a recipe")
    try:
        text = content.decode("utf-8-sig")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = dict(_lines(node, ())) if node is not None else {}
        values = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = str(path) if mark is None else f"{path}:{mark.line + 1}"
        raise OptionsError(f"this isn't YAML: {getattr(error, 'problem', None) or error}", where=where) from error
    if not isinstance(values, dict):
        raise OptionsError("expected keys such as data, encoder and steps", where=str(path))
    return RecipeText(path, _texts_as_keys(values), lines)


def _lines(node: Any, keys: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    """Yields each value's keys and its line, from 1; raises for a key that stands twice and for endless aliases."""
    open_nodes = [(node, keys)]
    count = 0
    while open_nodes:
        current, place = open_nodes.pop()
        count += 1
        if count > _MOST_VALUES:
            raise yaml.YAMLError(f"more than {_MOST_VALUES:,} values")
        if isinstance(current, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in current.value:
                name = str(key.value)
                if name in seen:
                    raise yaml.MarkedYAMLError(problem=f"the key {name!r} stands twice", problem_mark=key.start_mark)
                seen.add(name)
                yield (*place, name), key.start_mark.line + 1
                open_nodes.append((value, (*place, name)))
        elif isinstance(current, yaml.SequenceNode):
            open_nodes += [(value, place) for value in current.value]


def _texts_as_keys(values: Any) -> Any:
    """Returns the values with every key a text."""
    if isinstance(values, Mapping):
        return {str(key): _texts_as_keys(value) for key, value in values.items()}
    return [_texts_as_keys(value) for value in values] if isinstance(values, list) else values


def apply_changes(text: RecipeText, words: Sequence[str]) -> RecipeText:
    """Returns the recipe with each `path.to.key=value` set; a path begins with a step's name or a key at the top.

    Values are read as YAML. Raises OptionsError for what isn't a path and a value.
    """
    values, changed = _copied(text.values), dict(text.changed)
    steps = values.get("steps")
    for word in words:
        path, equals, written = word.partition("=")
        names = path.strip().split(".")
        if not equals or not all(names):
            raise OptionsError(f"found --set {word!r}, expected KEY=VALUE", remedy="such as train.learning_rate=1e-5")
        try:
            value = _texts_as_keys(yaml.safe_load(written))
        except yaml.YAMLError as error:
            raise OptionsError(f"the value {written!r} isn't YAML", where=f"--set {word}") from error
        keys = ("steps", *names) if isinstance(steps, dict) and names[0] in steps else tuple(names)
        place = values
        for name in keys[:-1]:
            if place.get(name) is None:
                place[name] = {}
            place = place[name]
            if not isinstance(place, dict):
                raise OptionsError(f"{name!r} has no keys of its own", where=f"--set {word}")
        place[keys[-1]] = value
        changed[keys] = word
    return RecipeText(text.path, values, text.lines, changed)


def _copied(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _copied(value) for key, value in values.items()}
    return [_copied(value) for value in values] if isinstance(values, list) else values
