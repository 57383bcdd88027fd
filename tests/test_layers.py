"""A package imports only from the layers before it; checked over the real import statements."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import embedtune

SOURCE = Path(embedtune.__file__).parent
LAYERS = [
    {"errors"},
    {"options"},
    {"registry", "progress", "processes", "packaged", "extras"},
    {"artifact"},
    {"data"},
    {"models"},
    {"language"},
    {"search"},
    {"evaluate"},
    {"synthesize", "mine", "train", "merge", "export", "report"},
    {"pipeline"},
    {"cli"},
]
ENTRY_POINTS = {"__init__", "__main__"}
RANK = {package: rank for rank, layer in enumerate(LAYERS) for package in layer}
FILES = sorted(SOURCE.rglob("*.py"))


def package_of(file: Path) -> str:
    first = file.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imported_packages(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide the layer"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("embedtune.")}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_only_earlier_layers(file):
    package = package_of(file)
    if package in ENTRY_POINTS:
        return
    for other in imported_packages(file) - {package}:
        assert RANK[other] < RANK[package], f"{package} may not import {other}"


def test_the_test_sees_imports():
    assert ["embedtune", "artifact"][1] in imported_packages(SOURCE / "models" / "cache.py")
    assert len(FILES) > 30
