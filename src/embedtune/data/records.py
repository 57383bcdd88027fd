"""Rows of JSON Lines, JSON, CSV, TSV and Parquet files, each with its file and line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embedtune import progress
from embedtune.data.text_files import open_bytes, open_text, plain_suffix, read_text
from embedtune.errors import DataError, describe_unknown

__all__ = [
    "RECORD_SUFFIXES",
    "Record",
    "grade_in",
    "id_in",
    "missing_column",
    "number_of",
    "parse_json",
    "read_records",
    "record_files",
    "split_called",
    "split_in_name",
    "text_in",
    "texts_in",
    "value_in",
]

RECORD_SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
_LONGEST_FIELD = 2**31 - 1
_NOT_ROWS = frozenset(
    {"embedtune.json", "dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "config.json"}
)
"""Files about the data that lie beside it."""

_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "dev": "val",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


class Record(NamedTuple):
    """One row: column → value, and where it stands."""

    values: dict[str, Any]
    place: str


def record_files(source: Path) -> list[Path]:
    """Returns the file, or all files of rows in a folder and its subfolders, sorted."""
    if source.is_file():
        files = [source]
    else:
        files = sorted(path for path in source.rglob("*") if path.is_file() and not _is_hidden(path, source))
    found = [path for path in files if plain_suffix(path) in RECORD_SUFFIXES and path.name not in _NOT_ROWS]
    if not found:
        kinds = ", ".join(RECORD_SUFFIXES)
        raise DataError(f"no file of rows is in {source}", remedy=f"give a file or a folder of files: {kinds}")
    return found


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def split_called(name: str) -> str:
    """Returns train, val or test for a split's usual names, such as dev, and any other name as it is."""
    return _SPLIT_WORDS.get(name.lower(), name)


def split_in_name(path: Path) -> str | None:
    """Returns the split that a file's name names (train-00000-of-00001.parquet → train), or None."""
    words = path.name.lower().replace("-", ".").replace("_", ".").split(".")
    found = [_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS]
    return found[-1] if found else None


def read_records(path: Path) -> Iterator[Record]:
    """Yields the rows of a file in order; raises DataError with the line of what can't be read."""
    suffix = plain_suffix(path)
    if suffix == ".parquet":
        return _read_parquet(path)
    if suffix == ".json":
        return _read_json(path)
    if suffix in (".csv", ".tsv"):
        return _read_csv(path, "\t" if suffix == ".tsv" else ",")
    if suffix == ".jsonl":
        return _read_jsonl(path)
    raise DataError(describe_unknown("kind of file", suffix or path.name, RECORD_SUFFIXES), where=str(path))


def parse_json(text: str, place: str, line: int = 1) -> Any:
    """Returns parsed JSON; raises DataError with line and column, counted from `line`."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        cut_off = error.pos >= len(text.rstrip()) or "Unterminated" in error.msg
        raise DataError(
            f"broken JSON: {error.msg} at column {error.colno}",
            where=f"{place}:{line + error.lineno - 1}",
            remedy="fetch the file again; it was cut off while it was copied" if cut_off else "mend the file there",
        ) from None
    except RecursionError:
        raise DataError("broken JSON: nested too deeply", where=f"{place}:{line}") from None


def _read_jsonl(path: Path) -> Iterator[Record]:
    with open_text(path, newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _as_record(parse_json(line, str(path), number), f"{path}:{number}")


def _read_json(path: Path) -> Iterator[Record]:
    """Reads a JSON list of objects, or JSON Lines in a file that is called .json."""
    with open_text(path) as file:
        start = file.read(4096).lstrip()
    if not start.startswith("["):
        yield from _read_jsonl(path)
        return
    for number, item in enumerate(parse_json(read_text(path), str(path)), start=1):
        yield _as_record(item, f"{path}, item {number}")


def _as_record(value: Any, place: str) -> Record:
    if not isinstance(value, dict):
        raise DataError(f"expected a JSON object a row, found {type(value).__name__}", where=place)
    return Record(value, place)


def _read_csv(path: Path, delimiter: str) -> Iterator[Record]:
    """Reads a table whose first line names the columns; quotes have no meaning in a TSV."""
    csv.field_size_limit(max(_LONGEST_FIELD, csv.field_size_limit()))
    with open_text(path, newline="") as file:
        if delimiter == "\t":
            rows = csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)
        else:
            rows = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            columns = next(rows, None)
            if columns is None:
                raise DataError("the file is empty, expected a line of column names", where=str(path))
            for row in rows:
                if row:
                    yield Record(_cells(columns, row, f"{path}:{rows.line_num}"), f"{path}:{rows.line_num}")
        except csv.Error as error:
            raise DataError(
                f"broken table: {error}",
                where=f"{path}:{rows.line_num}",
                remedy="close the quote there; a file cut off while it was copied ends like this too",
            ) from None


def _cells(columns: Sequence[str], row: Sequence[str], place: str) -> dict[str, str]:
    if len(row) != len(columns):
        raise DataError(
            f"a row of {len(row)} columns, expected {len(columns)} ({', '.join(columns)})",
            where=place,
            remedy="mend the row; a file cut off while it was copied ends like this too",
        )
    return dict(zip(columns, row, strict=True))


def _read_parquet(path: Path) -> Iterator[Record]:
    import pyarrow
    from pyarrow import parquet

    number = 0
    with open_bytes(path):
        pass
    try:
        with parquet.ParquetFile(path) as file, progress.task(f"read {path.name}", file.metadata.num_rows) as reading:
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    yield Record(row, f"{path}, row {number}")
                reading.advance(len(batch))
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"not a whole Parquet file: {str(error).splitlines()[0]}",
            where=f"{path}, row {number + 1}",
            remedy="fetch the file again; it was probably cut off",
        ) from None


def value_in(record: Record, column: str) -> Any:
    """Returns a row's value; raises DataError with the columns found and the nearest to the wanted one."""
    try:
        return record.values[column]
    except KeyError:
        raise missing_column(column, record.values, record.place) from None


def missing_column(wanted: str, found: Iterable[str], place: str) -> DataError:
    """Returns the error for a column that isn't there."""
    return DataError(
        describe_unknown("column", wanted, map(str, found)).replace("unknown", "there is no", 1),
        where=place,
        remedy="rename the column, or name the right one with the converter's --…-column flag if it has one",
    )


def text_in(record: Record, column: str) -> str:
    """Returns a row's text; "" for null. Raises DataError for anything else."""
    value = value_in(record, column)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{column}: expected a text, found {value!r:.80}", where=record.place)
    return value


def texts_in(record: Record, column: str) -> list[str]:
    """Returns a row's texts, from a text or a list of texts; [] for null or a missing column."""
    value = record.values.get(column)
    texts = [] if value is None else value if isinstance(value, list) else [value]
    for text in texts:
        if not isinstance(text, str):
            raise DataError(f"{column}: expected a text or a list of texts, found {text!r:.80}", where=record.place)
    return texts


def id_in(record: Record, column: str) -> str:
    """Returns a row's id as a text; whole numbers are ids too."""
    value = value_in(record, column)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise DataError(f"{column}: expected an id, found {value!r:.80}", where=record.place)
    return str(value)


def grade_in(record: Record, column: str) -> float:
    """Returns a row's grade or score as a number."""
    value = value_in(record, column)
    try:
        return number_of(value)
    except ValueError:
        raise DataError(f"{column}: expected a number, found {value!r:.80}", where=record.place) from None


def number_of(value: Any) -> float:
    """Returns a whole number as int, another as float; raises ValueError for what isn't finite."""
    number = float(value) if isinstance(value, str | int | float) else float("nan")
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(value)
    return int(number) if number == int(number) else number
