"""Reads and writes a dataset as a folder of tables, Parquet or Arrow; opening it doesn't load the texts.

    corpus             id, text
    queries            id, text
    relevant_docs      query_id, document_ids; where judgements are graded also grades, grade_is_integer
    negative_docs      query_id, document_ids
    reference_answers  query_id, text
    queries_split      split, query_ids
    extra.json         fields that this version doesn't know

Each table is a file, corpus.parquet or corpus.arrow. The first three have to be there. Texts are stored
in groups of about 300,000 characters, so that one text can be fetched without its neighbours' being kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from embedtune.artifact import MANIFEST, Artifact, refuse_strangers
from embedtune.data.arrow_table import ArrowTable
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.faults import find_faults, raise_if_any
from embedtune.data.json_parser import parse_file
from embedtune.data.parquet_table import ParquetTable
from embedtune.data.table_texts import Table, TableTexts, damage_told, open_table
from embedtune.errors import DataError

__all__ = ["DATASET", "kind_for", "open_folder", "read_folder", "write_folder"]

DATASET = "dataset"

_TEXTS = pa.schema([("id", pa.string()), ("text", pa.string())])
_ANSWERS = pa.schema([("query_id", pa.string()), ("text", pa.string())])
_NEGATIVES = pa.schema([("query_id", pa.string()), ("document_ids", pa.list_(pa.string()))])
_JUDGEMENTS = pa.schema([*_NEGATIVES, ("grades", pa.list_(pa.float64())), ("grade_is_integer", pa.list_(pa.bool_()))])
_SPLITS = pa.schema([("split", pa.string()), ("query_ids", pa.list_(pa.string()))])
_EXTRA = "extra.json"
_CHARACTERS_A_GROUP = 300_000
_ROWS_A_GROUP = 10_000

Row = tuple[Any, ...]


def read_folder(folder: Path) -> RetrievalDataset:
    """Returns the dataset in a folder; its texts stay on disk until they are asked for.

    A folder that embedtune wrote is trusted; one that was made by hand is read through once for
    faults. Raises DataError with all of them.
    """
    dataset = open_folder(folder)
    if not (folder / MANIFEST).exists():
        raise_if_any(list(find_faults(dataset.to_fields())), str(folder))
    return dataset


def open_folder(folder: Path) -> RetrievalDataset:
    """Returns the dataset in a folder without looking for faults of its entries."""
    if (folder / MANIFEST).exists():
        Artifact.open(folder, DATASET)
    kind, extra = _kind_in(folder), folder / _EXTRA
    return RetrievalDataset(
        queries=TableTexts(kind, _path(kind, folder, "queries")),
        corpus=TableTexts(kind, _path(kind, folder, "corpus")),
        relevant_docs=_read_judgements(kind, folder),
        negative_docs=dict(_optional_rows(kind, folder, "negative_docs", _NEGATIVES)),
        reference_answers=dict(_optional_rows(kind, folder, "reference_answers", _ANSWERS)),
        queries_split=dict(_optional_rows(kind, folder, "queries_split", _SPLITS)),
        extra=parse_file(extra).fields if extra.exists() else {},
    )


def write_folder(dataset: RetrievalDataset, folder: Path, kind: type[Table]) -> None:
    """Writes the folder whole or not at all, in batches; replaces a dataset that is there."""
    refuse_strangers(folder, DATASET, overwrite=True)
    made_from = {"documents": len(dataset.corpus), "queries": len(dataset.queries)}
    judged = ((query_id, *_judgement_row(documents)) for query_id, documents in dataset.relevant_docs.items())
    tables: list[tuple[str, pa.Schema, Iterable[Row]]] = [
        ("corpus", _TEXTS, dataset.corpus.items()),
        ("queries", _TEXTS, dataset.queries.items()),
        ("relevant_docs", _JUDGEMENTS, judged),
        ("negative_docs", _NEGATIVES, dataset.negative_docs.items()),
        ("reference_answers", _ANSWERS, dataset.reference_answers.items()),
        ("queries_split", _SPLITS, dataset.queries_split.items()),
    ]
    with Artifact.create(folder, DATASET, made_from, overwrite=True) as temporary:
        for name, schema, rows in tables:
            _write(kind, _path(kind, temporary, name), schema, rows)
        if dataset.extra:
            (temporary / _EXTRA).write_text(json.dumps(dict(dataset.extra)), encoding="utf-8")


def kind_for(folder: Path) -> type[Table]:
    """Returns the kind of table to write: Arrow where the folder's name ends in .arrow, else Parquet."""
    return ArrowTable if folder.suffix.lower() == ArrowTable.suffix else ParquetTable


def _kind_in(folder: Path) -> type[Table]:
    arrow, parquet = (any(folder.glob(f"*{kind.suffix}")) for kind in (ArrowTable, ParquetTable))
    if arrow and parquet:
        raise DataError(
            f"the folder {folder} holds tables of both kinds, .arrow and .parquet",
            remedy="keep those of one kind in it",
        )
    return ArrowTable if arrow else ParquetTable


def _path(kind: type[Table], folder: Path, name: str) -> Path:
    return folder / f"{name}{kind.suffix}"


def _write(kind: type[Table], path: Path, schema: pa.Schema, rows: Iterable[Row]) -> None:
    with kind.writer(path, schema) as writer:
        for batch in _batches(rows):
            columns = zip(*batch, strict=True)
            try:
                arrays = [pa.array(list(column), field.type) for column, field in zip(columns, schema, strict=True)]
            except UnicodeEncodeError:
                raise _unwritable(path, batch) from None
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yields rows in batches of about 300,000 characters."""
    batch: list[Row] = []
    characters = 0
    for row in rows:
        batch.append(row)
        characters += len(row[1] or "")
        if characters >= _CHARACTERS_A_GROUP or len(batch) >= _ROWS_A_GROUP:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _unwritable(path: Path, batch: list[Row]) -> DataError:
    bad = [repr(row[0]) for row in batch if "\\ud" in ascii(row)]
    return DataError(
        f"{path.stem}: {', '.join(bad[:3])} holds half of a surrogate pair, which no UTF-8 file can",
        where=path.stem,
        remedy="embedtune check --fix OUT.json shows these texts; mend them at their source",
    )


def _judgement_row(documents: list[str] | dict[str, float]) -> Row:
    if isinstance(documents, Mapping):
        grades = list(documents.values())
        return list(documents), grades, [isinstance(grade, int) for grade in grades]
    return documents, None, None


def _read_judgements(kind: type[Table], folder: Path) -> dict[str, list[str] | dict[str, float]]:
    rows = _rows(kind, folder, "relevant_docs", _JUDGEMENTS, 2)
    with damage_told(kind, _path(kind, folder, "relevant_docs")):
        return {row[0]: _judged(*row[1:]) for row in rows}


def _judged(documents: list[str], grades: list[float] | None, integer: list[bool] | None) -> list[str] | dict[str, Any]:
    if grades is None:
        return documents
    whole = integer or [False] * len(grades)
    return {d: int(grade) if w else grade for d, grade, w in zip(documents, grades, whole, strict=True)}


def _rows(kind: type[Table], folder: Path, name: str, schema: pa.Schema, required: int) -> Iterator[Row]:
    """Yields a table's rows in the order of the schema; columns after the required ones may be missing."""
    path = _path(kind, folder, name)
    table = open_table(kind, path, schema.names[:required])
    for group, size in enumerate(table.sizes):
        with damage_told(kind, path):
            columns = [
                table.read(group, column).to_pylist() if column in table.schema.names else [None] * size
                for column in schema.names
            ]
        yield from zip(*columns, strict=True)


def _optional_rows(kind: type[Table], folder: Path, name: str, schema: pa.Schema) -> Iterator[Row]:
    return _rows(kind, folder, name, schema, len(schema.names)) if _path(kind, folder, name).exists() else iter(())
