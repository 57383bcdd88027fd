"""Which file of a Hub dataset belongs to which configuration and split, as its README says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from embedtune.data.records import record_files, split_in_name
from embedtune.errors import DataError

__all__ = ["README", "HubFile", "hub_files"]

README = "README.md"
_PARTS = ("corpus", "queries", "qrels")


class HubFile(NamedTuple):
    """A file of rows with the names that `load_dataset(name, config, split=split)` would take."""

    config: str
    split: str
    path: Path


def hub_files(folder: Path) -> list[HubFile]:
    """Returns the files that the README's `configs` lists; without a list they are told by their names.

    A single file stands for a dataset of one configuration.
    """
    if folder.is_file():
        return [HubFile("default", "", path) for path in record_files(folder)]
    listed = list(_listed(folder, _read_configs(folder)))
    return listed or [_by_name(folder, path) for path in record_files(folder)]


def _read_configs(folder: Path) -> list[Mapping[str, Any]]:
    readme = folder / README
    if not readme.is_file():
        return []
    import yaml
    from huggingface_hub import metadata_load

    try:
        metadata = metadata_load(readme) or {}
    except (yaml.YAMLError, ValueError) as error:
        raise DataError(f"the header isn't valid YAML: {error}", where=str(readme)) from None
    configs = metadata.get("configs") or []
    return [config for config in configs if isinstance(config, Mapping)] if isinstance(configs, list) else []


def _listed(folder: Path, configs: list[Mapping[str, Any]]) -> Iterator[HubFile]:
    for config in configs:
        name = str(config.get("config_name", "default"))
        for split, pattern in _patterns(config.get("data_files")):
            for path in _matching(folder, pattern):
                yield HubFile(name, split, path)


def _matching(folder: Path, pattern: str) -> list[Path]:
    """Returns the files in the folder that match; a pattern that leads out of it matches nothing."""
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        return []
    return sorted(path for path in folder.glob(pattern) if path.is_file())


def _patterns(data_files: Any) -> Iterator[tuple[str, str]]:
    """Yields (split, glob) from the forms that `data_files` may have."""
    for entry in data_files if isinstance(data_files, list) else [data_files]:
        if isinstance(entry, str):
            yield "train", entry
        elif isinstance(entry, Mapping):
            paths = entry.get("path", [])
            for path in paths if isinstance(paths, list) else [paths]:
                yield str(entry.get("split", "train")), str(path)


def _by_name(folder: Path, path: Path) -> HubFile:
    """Takes corpus.jsonl, corpus/train-00000.parquet and queries/… for those parts, the rest for qrels."""
    first = path.relative_to(folder).parts[0].lower()
    config = next((part for part in _PARTS if first.startswith(part)), "default")
    return HubFile(config, split_in_name(path) or path.name.split(".")[0], path)
