"""What is installed: the packages embedtune needs, and its extras, by their metadata; nothing is imported."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from typing import NamedTuple

from packaging.requirements import Requirement

__all__ = ["PURPOSES", "Extra", "Package", "installed_extras", "needed_packages"]

_OURS = "embedtune"
PURPOSES = {
    "offline": "the encoder minilm, without a download",
    "docx": "Word files",
    "html": "HTML files",
    "pdf": "PDF files",
    "documents": "Word, HTML and PDF files",
    "openai": "queries and judgements from a language model",
    "rules": "key phrases in queries made by rule",
    "lancedb": "publish --to lancedb, eval and mine --index lancedb",
    "milvus": "publish --to milvus, eval and mine --index milvus",
    "qdrant": "publish --to qdrant, eval and mine --index qdrant",
    "stores": "publish to any vector store, search there",
    "onnx": "export --format onnx",
    "onnx-int8": "export --format onnx-int8",
    "openvino": "export --format openvino",
    "url": "datasets at a URL, such as s3://bucket/dataset",
    "ray": "eval and mine --engine ray",
}
"""What each extra gives, in the order in which a user comes to need it."""


class Package(NamedTuple):
    """A package that is needed: `installed` is its version, "" where there is none."""

    name: str
    installed: str
    needed: str

    @property
    def fits(self) -> bool:
        """Whether it is there, in a version that will do."""
        return bool(self.installed) and Requirement(self.name + self.needed).specifier.contains(
            self.installed, prereleases=True
        )


class Extra(NamedTuple):
    """An extra of embedtune, what it gives, and which of its packages are missing or too old."""

    name: str
    purpose: str
    missing: tuple[Package, ...]

    @property
    def command(self) -> str:
        """What installs it."""
        return f"pip install '{_OURS}[{self.name}]'"


def needed_packages(lines: Iterable[str] | None = None) -> list[Package]:
    """Returns the packages without which embedtune can't work; `lines` replaces its own requirements."""
    return [_package(need) for need in _requirements(lines) if need.marker is None or need.marker.evaluate()]


def installed_extras(lines: Iterable[str] | None = None) -> list[Extra]:
    """Returns every extra a user may want; `lines` replaces embedtune's own requirements."""
    needs = _requirements(lines)
    return [
        Extra(name, purpose, tuple(package for package in _of_extra(needs, name) if not package.fits))
        for name, purpose in PURPOSES.items()
        if any(True for _ in _of_extra(needs, name))
    ]


def _of_extra(needs: list[Requirement], extra: str) -> Iterable[Package]:
    for need in needs:
        if need.marker is None or need.marker.evaluate() or not need.marker.evaluate({"extra": extra}):
            continue
        if need.name == _OURS:
            for inner in sorted(need.extras):
                yield from _of_extra(needs, inner)
        else:
            yield _package(need)


def _requirements(lines: Iterable[str] | None) -> list[Requirement]:
    if lines is None:
        try:
            lines = requires(_OURS) or []
        except PackageNotFoundError:  # run from its source, never installed
            lines = []
    return [Requirement(line) for line in lines]


def _package(need: Requirement) -> Package:
    try:
        installed = version(need.name)
    except PackageNotFoundError:
        installed = ""
    return Package(need.name, installed, str(need.specifier))
