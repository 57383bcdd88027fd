"""The layout MTEB uses on the Hub: a dataset with three configurations, corpus, queries and qrels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from embedtune.data.archives import unpacked
from embedtune.data.building import ConverterOptions, DatasetBuilder
from embedtune.data.converters.beir import add_documents, add_judgements, add_queries
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.hub import hub_dataset
from embedtune.data.hub_configs import README, HubFile, hub_files
from embedtune.data.records import RECORD_SUFFIXES, Record, read_records, split_called
from embedtune.data.text_files import existing_path
from embedtune.errors import DataError, describe_unknown

__all__ = ["OPTIONS", "MtebOptions", "convert"]

_PARTS = {"corpus": ("corpus",), "queries": ("queries",), "qrels": ("qrels", "default")}


class MtebOptions(ConverterOptions):
    """Which part of a Hub dataset is read."""

    config: str | None = Field(
        default=None, description="Language or subset whose corpus, queries and qrels are read, such as zh."
    )
    revision: str | None = Field(default=None, description="Branch, tag or commit on the Hub; default: the newest.")


OPTIONS = MtebOptions


def convert(source: str | Path | None, options: MtebOptions) -> RetrievalDataset:
    """Returns the dataset of a Hub name such as mteb/scifact, or of a folder or zip of its files.

    Grades, 0 too, are kept. A split named dev or validation becomes val.
    """
    if source is None:
        existing_path(source, "a dataset in MTEB's layout, or its name on the Hub")
    place = hub_dataset(str(source), options.revision, [README, *(f"*{suffix}*" for suffix in RECORD_SUFFIXES)])
    builder = DatasetBuilder(str(source), options)
    with unpacked(place.folder) as folder:
        files = hub_files(folder)
        add_documents(builder, _records(_part(files, "corpus", options.config, str(source))))
        add_queries(builder, _records(_part(files, "queries", options.config, str(source))))
        for file in _part(files, "qrels", options.config, str(source)):
            add_judgements(builder, read_records(file.path), split_called(file.split))
    return builder.build({"source": dict(place.origin)} if place.origin else None)


def _records(files: list[HubFile]) -> Iterator[Record]:
    for file in files:
        yield from read_records(file.path)


def _part(files: list[HubFile], part: str, config: str | None, where: str) -> list[HubFile]:
    """Returns the files of one of the three configurations; raises DataError with those there are."""
    names = _PARTS[part]
    if config is not None:
        names = tuple(joined for name in names for joined in (f"{config}-{name}", f"{name}-{config}"))
        names += (config,) if part == "qrels" else ()
    for name in names:
        found = [file for file in files if file.config == name]
        if found:
            return found
    known = {file.config for file in files}
    remedy = (
        "for a dataset with several languages name one with --config" if config is None else "name another --config"
    )
    raise DataError(describe_unknown("configuration", names[0], known), where=where, remedy=remedy)
