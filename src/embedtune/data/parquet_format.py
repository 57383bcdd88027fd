"""Reads and writes a dataset as a folder of Parquet tables; opening it doesn't load the texts.

    corpus.parquet             id, text
    queries.parquet            id, text
    relevant_docs.parquet      query_id, document_ids; where judgements are graded also grades, grade_is_integer
    negative_docs.parquet      query_id, document_ids
    reference_answers.parquet  query_id, text
    queries_split.parquet      split, query_ids
    extra.json                 fields that this version doesn't know

The first three tables have to be there. Texts are stored in row groups of about 300,000 characters, so
that one text can be fetched without its neighbours' being kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from embedtune.artifact import MANIFEST, Artifact, refuse_strangers
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.faults import find_faults, raise_if_any
from embedtune.data.parquet_texts import ParquetTexts, open_table
from embedtune.errors import DataError

__all__ = ["DATASET", "open_parquet", "read_parquet", "write_parquet"]

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


def read_parquet(folder: Path) -> RetrievalDataset:
    """Returns the dataset in a folder; its texts stay on disk until they are asked for.

    A folder that embedtune wrote is trusted; one that was made by hand is read through once for
    faults. Raises DataError with all of them.
    """
    dataset = open_parquet(folder)
    if not (folder / MANIFEST).exists():
        raise_if_any(list(find_faults(dataset.to_fields())), str(folder))
    return dataset


def open_parquet(folder: Path) -> RetrievalDataset:
    """Returns the dataset in a folder without looking for faults of its entries."""
    if (folder / MANIFEST).exists():
        Artifact.open(folder, DATASET)
    extra = folder / _EXTRA
    return RetrievalDataset(
        queries=ParquetTexts(folder / "queries.parquet"),
        corpus=ParquetTexts(folder / "corpus.parquet"),
        relevant_docs={row[0]: _judged(*row[1:]) for row in _rows(folder / "relevant_docs.parquet", _JUDGEMENTS, 2)},
        negative_docs=dict(_optional_rows(folder / "negative_docs.parquet", _NEGATIVES)),
        reference_answers=dict(_optional_rows(folder / "reference_answers.parquet", _ANSWERS)),
        queries_split=dict(_optional_rows(folder / "queries_split.parquet", _SPLITS)),
        extra=json.loads(extra.read_text(encoding="utf-8")) if extra.exists() else {},
    )


def write_parquet(dataset: RetrievalDataset, folder: Path) -> None:
    """Writes the folder whole or not at all, in batches; replaces a dataset that is there."""
    refuse_strangers(folder, DATASET, overwrite=True)
    made_from = {"documents": len(dataset.corpus), "queries": len(dataset.queries)}
    with Artifact.create(folder, DATASET, made_from, overwrite=True) as temporary:
        _write(temporary / "corpus.parquet", _TEXTS, dataset.corpus.items())
        _write(temporary / "queries.parquet", _TEXTS, dataset.queries.items())
        judged = ((query_id, *_judgement_row(documents)) for query_id, documents in dataset.relevant_docs.items())
        _write(temporary / "relevant_docs.parquet", _JUDGEMENTS, judged)
        _write(temporary / "negative_docs.parquet", _NEGATIVES, dataset.negative_docs.items())
        _write(temporary / "reference_answers.parquet", _ANSWERS, dataset.reference_answers.items())
        _write(temporary / "queries_split.parquet", _SPLITS, dataset.queries_split.items())
        if dataset.extra:
            (temporary / _EXTRA).write_text(json.dumps(dict(dataset.extra)), encoding="utf-8")


def _write(path: Path, schema: pa.Schema, rows: Iterable[Row]) -> None:
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        for batch in _batches(rows):
            columns = zip(*batch, strict=True)
            try:
                arrays = [pa.array(list(column), kind.type) for column, kind in zip(columns, schema, strict=True)]
            except UnicodeEncodeError:
                raise _unwritable(path, batch) from None
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=len(batch))


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


def _judged(documents: list[str], grades: list[float] | None, integer: list[bool] | None) -> list[str] | dict[str, Any]:
    if grades is None:
        return documents
    whole = integer or [False] * len(grades)
    return {d: int(grade) if w else grade for d, grade, w in zip(documents, grades, whole, strict=True)}


def _rows(path: Path, schema: pa.Schema, required: int) -> Iterator[Row]:
    """Yields a table's rows in the order of the schema; columns after the required ones may be missing."""
    table = open_table(path, schema.names[:required]).read()
    columns = [
        table.column(name).to_pylist() if name in table.column_names else [None] * len(table) for name in schema.names
    ]
    yield from zip(*columns, strict=True)


def _optional_rows(path: Path, schema: pa.Schema) -> Iterator[Row]:
    return _rows(path, schema, len(schema.names)) if path.exists() else iter(())
