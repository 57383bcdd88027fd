"""Plugins found by the name of their file, imported only when used."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from embedtune.errors import MissingPackageError, OptionsError, describe_unknown

__all__ = ["Registry"]


class Registry:
    """The plugins of one folder: each file is a plugin, its name is the plugin's name.

    `package` is the dotted name of the folder, `kind` the word for one plugin in messages.
    A file name's underscores are hyphens in the plugin's name.
    """

    def __init__(self, package: str, kind: str) -> None:
        self.package = package
        self.kind = kind

    def names(self) -> list[str]:
        """Returns the plugins' names, sorted, without importing any plugin."""
        folder = importlib.import_module(self.package).__path__
        return sorted(info.name.replace("_", "-") for info in pkgutil.iter_modules(folder))

    def summary(self, name: str) -> str:
        """Returns the first line of the plugin's docstring, read without importing the plugin."""
        found = importlib.util.find_spec(f"{self.package}.{name.replace('-', '_')}")
        source = "" if found is None or found.origin is None else Path(found.origin).read_text(encoding="utf-8")
        return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]

    def load(self, name: str) -> ModuleType:
        """Returns the plugin's module.

        Raises OptionsError for an unknown name, MissingPackageError where the plugin's own
        requirement isn't installed.
        """
        if name not in self.names():
            raise OptionsError(describe_unknown(self.kind, name, self.names()))
        with self.naming_missing_packages(name):
            return importlib.import_module(f"{self.package}.{name.replace('-', '_')}")

    @contextmanager
    def naming_missing_packages(self, name: str) -> Iterator[None]:
        """Raises MissingPackageError where the block imports what isn't installed, as plugins may do late."""
        try:
            yield
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("embedtune"):
                raise
            raise MissingPackageError(
                f"the {self.kind} {name!r} needs the package {error.name!r}, which isn't installed",
                remedy=f"pip install 'embedtune[{name}]'",
            ) from error
