"""The BEIR layout, a folder or a zip: corpus.jsonl, queries.jsonl and a qrels/SPLIT.tsv for each split."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from embedtune.data.archives import unpacked
from embedtune.data.building import ConverterOptions, DatasetBuilder
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.records import Record, grade_in, id_in, read_records, split_called, text_in
from embedtune.data.text_files import existing_path
from embedtune.errors import DataError

__all__ = ["OPTIONS", "UNSPLIT", "BeirOptions", "add_documents", "add_judgements", "add_queries", "convert"]

_LAYOUT = "a BEIR folder or zip: corpus.jsonl, queries.jsonl, qrels/test.tsv"
UNSPLIT = "unsplit"
"""The qrels file that holds judgements of queries in no split."""


class BeirOptions(ConverterOptions):
    """How a BEIR folder is read."""


OPTIONS = BeirOptions


def convert(source: str | Path | None, options: BeirOptions) -> RetrievalDataset:
    """Returns the dataset of a BEIR folder or zip; grades, 0 too, are kept, dev becomes val.

    A document is its title, a blank and its text, as BEIR and MTEB feed it to a model.
    """
    builder = DatasetBuilder(str(source), options)
    with unpacked(existing_path(source, _LAYOUT)) as folder:
        add_documents(builder, read_records(_file(folder, "corpus.jsonl")))
        add_queries(builder, read_records(_file(folder, "queries.jsonl")))
        for path in _qrels_files(folder):
            split = None if path.stem == UNSPLIT else split_called(path.stem)
            add_judgements(builder, read_records(path), split)
        return builder.build()


def add_documents(builder: DatasetBuilder, records: Iterable[Record]) -> None:
    """Adds rows of _id (or id), text and, where there is one, title."""
    for record in records:
        title = text_in(record, "title") if "title" in record.values else ""
        text = f"{title} {text_in(record, 'text')}".strip() if title else text_in(record, "text")
        builder.add_document(id_in(record, _id_column(record)), text, record.place)


def add_queries(builder: DatasetBuilder, records: Iterable[Record]) -> None:
    """Adds rows of _id (or id) and text."""
    for record in records:
        builder.add_query(id_in(record, _id_column(record)), text_in(record, "text"), record.place)


def add_judgements(builder: DatasetBuilder, records: Iterable[Record], split: str | None) -> None:
    """Adds rows of query-id, corpus-id and score; their queries make up the split."""
    if split is not None:
        builder.splits.setdefault(split, {})
    for record in records:
        query_id = id_in(record, "query-id")
        builder.judge(query_id, id_in(record, "corpus-id"), grade_in(record, "score"))
        if split is not None:
            builder.add_to_split(split, query_id)


def _id_column(record: Record) -> str:
    return "id" if "id" in record.values and "_id" not in record.values else "_id"


def _file(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise _missing(folder, name)


def _qrels_files(folder: Path) -> list[Path]:
    found = sorted((folder / "qrels").glob("*.tsv"))
    if not found:
        raise _missing(folder, "qrels/*.tsv")
    return found


def _missing(folder: Path, name: str) -> DataError:
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    listed = ", ".join(names[:10]) + (" …" if len(names) > 10 else "")
    found = f"found {listed}" if names else "the folder is empty"
    return DataError(f"there is no {name}: {found}", where=str(folder), remedy=f"give {_LAYOUT}")
