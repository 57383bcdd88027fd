"""The tasks of AIR-Bench 24.04 and 24.05 on the Hub: a corpus, development queries and their judgements."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from embedtune.data.building import ConverterOptions, DatasetBuilder
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.hub import HubFolder, hub_dataset
from embedtune.data.hub_configs import README, hub_files
from embedtune.data.records import RECORD_SUFFIXES, grade_in, id_in, read_records, text_in
from embedtune.errors import DataError, OptionsError, describe_unknown

__all__ = ["OPTIONS", "AirbenchOptions", "convert"]

_OWNER = "AIR-Bench"
_QUERY_FILES = ("dev_queries.jsonl", "queries_dev.jsonl", "queries.jsonl")


class AirbenchOptions(ConverterOptions):
    """Which release and which part of a task is read."""

    version: Literal["24.05", "24.04"] = Field(default="24.05", description="Release of AIR-Bench.")
    part: str = Field(
        default="default",
        description="Part of the task: default for question answering, a document collection such as gpt3 "
        "for long-document tasks.",
    )
    revision: str | None = Field(default=None, description="Branch, tag or commit of the task; default: the newest.")
    qrels_revision: str | None = Field(default=None, description="The same for the task's judgements.")


OPTIONS = AirbenchOptions


def convert(source: str | Path | None, options: AirbenchOptions) -> RetrievalDataset:
    """Returns a task such as qa_healthcare_zh; relevance 1 is relevant, 0 a negative, all queries are val.

    A folder of the task's files stands for the task; its judgements then lie beside it, in
    qrels-TASK-dev, as the two datasets do on the Hub.
    """
    if source is None:
        raise OptionsError("no task was named", remedy="give one, such as qa_healthcare_zh or long-doc_arxiv_en")
    version = f"AIR-Bench_{options.version}"
    task = _open(source, options.revision, [README, f"{version}/{options.part}/*"])
    qrels = _open(_qrels_of(source), options.qrels_revision, [README, *(f"*{suffix}" for suffix in RECORD_SUFFIXES)])
    builder = DatasetBuilder(str(source), options)
    folder = _part_folder(task.folder, version, options.part)
    for path in sorted(folder.glob("corpus*.jsonl*")):
        for record in read_records(path):
            builder.add_document(id_in(record, "id"), text_in(record, "text"), record.place)
    for record in read_records(_queries_file(folder)):
        builder.add_query(id_in(record, "id"), text_in(record, "text"), record.place, "val")
    _judge(builder, _qrels_files(qrels.folder, version, options.part))
    builder.splits = {"train": {}, **builder.splits}
    origins = [dict(place.origin) for place in (task, qrels) if place.origin]
    return builder.build({"source": origins} if origins else None)


def _open(name: str | Path, revision: str | None, patterns: list[str]) -> HubFolder:
    local = Path(name).expanduser().exists() or len(Path(name).parts) > 1
    return hub_dataset(name if local else f"{_OWNER}/{name}", revision, patterns)


def _qrels_of(source: str | Path) -> str:
    task = Path(source)
    return str(task.with_name(f"qrels-{task.name}-dev"))


def _part_folder(folder: Path, version: str, part: str) -> Path:
    if (folder / version / part).is_dir():
        return folder / version / part
    local = {path.name for path in (folder / version).glob("*") if path.is_dir()}
    prefix = "corpus_"
    listed = {
        file.split.removeprefix(prefix)
        for file in (hub_files(folder) if (folder / README).is_file() else [])
        if file.config == version and file.split.startswith(prefix)
    }
    raise DataError(
        describe_unknown(f"part of {version}:", part, local | listed),
        where=str(folder),
        remedy="name a part with --part, or another release with --version",
    )


def _queries_file(folder: Path) -> Path:
    for name in _QUERY_FILES:
        if (folder / name).is_file():
            return folder / name
    found = ", ".join(sorted(path.name for path in folder.iterdir()))
    raise DataError(f"there are no queries: found {found}, expected {_QUERY_FILES[0]}", where=str(folder))


def _qrels_files(folder: Path, version: str, part: str) -> list[Path]:
    """Returns the files of the split qrels_PART_dev (24.04: qrels_PART) of the release."""
    name = f"qrels_{part.replace('-', '_')}"
    files = hub_files(folder)
    for split in (f"{name}_dev", name):
        for found in (
            [file.path for file in files if file.config == version and file.split == split],
            [file.path for file in files if file.path.stem == split],
            [file.path for file in files if {version, part} <= set(file.path.relative_to(folder).parts)],
        ):
            if found:
                return found
    raise DataError(
        describe_unknown("split", f"{name}_dev", {file.split for file in files}),
        where=str(folder),
        remedy="name a part with --part, or another release with --version",
    )


def _judge(builder: DatasetBuilder, paths: list[Path]) -> None:
    for path in paths:
        for record in read_records(path):
            query_id, document_id = id_in(record, "qid"), id_in(record, "docid")
            relevance = grade_in(record, "relevance")
            if relevance == 1:
                builder.judge(query_id, document_id)
            elif relevance == 0:
                builder.add_negative(query_id, document_id)
            else:
                builder.add_fault(f"relevance {relevance}, expected 0 or 1", record.place)
