"""Docstrings of the installed Python packages: summary line → rest of the docstring.

Real text that is on every machine. Files are parsed, never imported, so nothing is run.
A summary line is not a human's search query; results on it show that tuning works on this
text, no more.
"""

from __future__ import annotations

import ast
import inspect
import random
import re
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from embedtune import progress
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.near_duplicates import near_duplicate_groups, normalise_text
from embedtune.data.splits import split_queries
from embedtune.errors import DataError
from embedtune.options import Options

__all__ = ["OPTIONS", "DocstringOptions", "convert"]

_SKIPPED_FOLDERS = frozenset(
    {"test", "tests", "testing", "_testing", "idlelib", "lib2to3", "__pycache__", "_vendor", "vendored"}
)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_POOL_FACTOR = 3
_MIN_QUERY_WORDS = 3
_MAX_FILE_BYTES = 1_000_000


class DocstringOptions(Options):
    """What to read and how much of it to keep."""

    packages: tuple[str, ...] = Field(
        default=(), description="Packages to read, by import name; default: the standard library and all installed."
    )
    documents: int = Field(default=1500, ge=50, description="How many docstrings to keep, sampled by the seed.")
    min_characters: int = Field(default=200, ge=1, description="Shorter docstrings are skipped.")
    max_characters: int = Field(default=4000, ge=200, description="Longer documents are cut at a line end here.")
    val_fraction: float = Field(default=0.15, gt=0, lt=1, description="Share of queries in the val split.")
    test_fraction: float = Field(default=0.25, gt=0, lt=1, description="Share of queries in the test split.")
    seed: int = Field(default=42, description="Chooses the sample and the splits.")


OPTIONS = DocstringOptions


@dataclass(frozen=True)
class _Docstring:
    name: str
    summary: str
    rest: str


def convert(source: str | Path | None, options: DocstringOptions) -> RetrievalDataset:
    """Returns a dataset with one query a docstring, split by document.

    `source` is a folder of Python files; None reads the standard library and site-packages.
    Raises DataError where too few docstrings are found.
    """
    files = _python_files(None if source is None else Path(source), options)
    random.Random(options.seed).shuffle(files)
    pool: list[_Docstring] = []
    with progress.task("read docstrings", total=options.documents * _POOL_FACTOR) as reading:
        for package_root, file in files:
            found = list(_docstrings(file, _module_name(file, package_root), options))
            pool += found
            reading.advance(len(found))
            if len(pool) >= options.documents * _POOL_FACTOR:
                break
    kept = _without_repeats(sorted(pool, key=lambda docstring: docstring.name))
    if len(kept) < options.documents:
        raise DataError(
            f"found {len(kept)} usable docstrings, expected {options.documents}",
            where=", ".join(options.packages) or str(source or "installed packages"),
            remedy="name more packages, or ask for fewer --documents",
        )
    chosen = sorted(random.Random(options.seed).sample(kept, options.documents), key=lambda d: d.name)
    dataset = RetrievalDataset(
        queries={d.name: d.summary for d in chosen},
        corpus={d.name: d.rest for d in chosen},
        relevant_docs={d.name: [d.name] for d in chosen},
    )
    return split_queries(
        dataset, val_fraction=options.val_fraction, test_fraction=options.test_fraction, seed=options.seed
    )


def _python_files(source: Path | None, options: DocstringOptions) -> list[tuple[Path, Path]]:
    """Returns (root, file) pairs, sorted; the root is what module names are relative to."""
    if source is not None:
        roots = [source]
    else:
        paths = sysconfig.get_paths()
        roots = list(dict.fromkeys(Path(paths[key]) for key in ("stdlib", "purelib", "platlib")))
    missing = [str(root) for root in roots if not root.is_dir()]
    if missing:
        raise DataError(f"there is no folder {', '.join(missing)}", remedy="give a folder of Python files")
    found = []
    seen_packages = set()
    for root in roots:
        for entry in sorted(root.iterdir()):
            name = entry.stem if entry.suffix == ".py" else entry.name
            if (options.packages and name not in options.packages) or name in _SKIPPED_FOLDERS | {"site-packages"}:
                continue
            seen_packages.add(name)
            files = [entry] if entry.suffix == ".py" else sorted(entry.rglob("*.py")) if entry.is_dir() else []
            found += [(root, file) for file in files if _is_wanted(file.relative_to(root))]
    unknown = [name for name in options.packages if name not in seen_packages]
    if unknown:
        raise DataError(f"no installed package is called {', '.join(unknown)}", remedy="use import names")
    return found


def _is_wanted(relative: Path) -> bool:
    if not _SKIPPED_FOLDERS.isdisjoint(relative.parts[:-1]):
        return False
    return not (relative.name.startswith(("test_", "conftest")) or relative.stem.endswith("_test"))


def _module_name(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _docstrings(file: Path, module: str, options: DocstringOptions) -> Iterator[_Docstring]:
    """Yields the usable docstrings of a file; a file that doesn't parse has none."""
    try:
        if file.stat().st_size > _MAX_FILE_BYTES:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for name, node in _documented(tree, module):
        text = ast.get_docstring(node, clean=False)
        if text is None:
            continue
        docstring = _divide(name, inspect.cleandoc(text), options)
        if docstring is not None:
            yield docstring


def _documented(node: ast.AST, name: str) -> Iterator[tuple[str, ast.Module | ast.ClassDef | ast.FunctionDef]]:
    if isinstance(node, _DOCUMENTED):
        yield name, node  # type: ignore[misc]  # AsyncFunctionDef has docstrings too
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _DOCUMENTED):
            yield from _documented(child, f"{name}.{child.name}" if not isinstance(child, ast.Module) else name)


def _divide(name: str, text: str, options: DocstringOptions) -> _Docstring | None:
    """Returns the summary (first paragraph, one line) and the rest, or None if it won't do."""
    first, _, rest = text.partition("\n\n")
    summary, rest = " ".join(first.split()), rest.strip()
    if len(text) < options.min_characters or len(rest) < options.min_characters // 2:
        return None
    if len(re.findall(r"\w+", summary)) < _MIN_QUERY_WORDS or len(summary) > options.min_characters:
        return None
    if len(rest) > options.max_characters:
        rest = rest[: options.max_characters].rpartition("\n")[0] or rest[: options.max_characters]
    if not any(character.isalpha() for character in rest):
        return None
    return _Docstring(name, summary, rest)


def _without_repeats(docstrings: list[_Docstring]) -> list[_Docstring]:
    """Keeps the first docstring of each name, each summary, and each group of near-duplicates."""
    first_of: dict[str, _Docstring] = {}
    names = set()
    for docstring in docstrings:
        if docstring.name not in names:
            names.add(docstring.name)
            first_of.setdefault(normalise_text(docstring.summary), docstring)
    unique = list(first_of.values())
    repeated = {position for group in near_duplicate_groups([d.rest for d in unique], 0.6) for position in group[1:]}
    return [docstring for position, docstring in enumerate(unique) if position not in repeated]
