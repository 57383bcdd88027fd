"""The texts of a Parquet table as a mapping, fetched from disk when they are asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from embedtune.errors import DataError, describe_unknown

__all__ = ["ParquetTexts", "open_table"]

_GROUPS_KEPT = 64
"""Row groups of about 300,000 characters that stay decoded; the oldest makes place for the next."""


class ParquetTexts(Mapping[str, str]):
    """Id → text of a table with the columns id and text.

    Opening reads the table's footer; the first look-up reads the ids; a text is read with its row
    group. Iterating goes through the file once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open_table(path, ["id", "text"])
        metadata = self._file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._starts: list[int] = [0, *accumulate(sizes)]
        self._kept: OrderedDict[int, pa.Array] = OrderedDict()

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[str]:
        for group in range(len(self._starts) - 1):
            yield from self._file.read_row_group(group, columns=["id"]).column(0).to_pylist()

    def __contains__(self, text_id: object) -> bool:
        return text_id in self._row_of

    def __getitem__(self, text_id: str) -> str:
        row = self._row_of[text_id]
        group = bisect_right(self._starts, row) - 1
        text: str = self._texts(group)[row - self._starts[group]].as_py()
        return text

    def __reduce__(self) -> tuple[type[ParquetTexts], tuple[Path]]:
        """Makes copies in other processes open the file themselves."""
        return ParquetTexts, (self._path,)

    def __repr__(self) -> str:
        return f"ParquetTexts({str(self._path)!r}, {len(self):,} texts)"

    @cached_property
    def _row_of(self) -> dict[str, int]:
        rows = {text_id: row for row, text_id in enumerate(self)}
        if len(rows) < len(self):
            seen: set[str] = set()
            twice = next(text_id for text_id in self if text_id in seen or seen.add(text_id))  # type: ignore[func-returns-value]
            raise DataError(f"{self._path.stem}: the id {twice!r} appears twice", where=str(self._path))
        return rows

    def _texts(self, group: int) -> pa.Array:
        if group in self._kept:
            self._kept.move_to_end(group)
            return self._kept[group]
        texts = self._file.read_row_group(group, columns=["text"]).column(0).combine_chunks()
        self._kept[group] = texts
        if len(self._kept) > _GROUPS_KEPT:
            self._kept.popitem(last=False)
        return texts


def open_table(path: Path, columns: Sequence[str]) -> pq.ParquetFile:
    """Returns the Parquet file with its footer read; raises DataError where it can't be, or lacks a column."""
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError:
        raise DataError(
            f"the folder {path.parent} has no {path.name}, so it isn't a dataset",
            remedy="give a folder with corpus.parquet, queries.parquet and relevant_docs.parquet, or a .json file",
        ) from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path.name} can't be read as Parquet: {error}", where=str(path)) from None
    found: Any = file.schema_arrow
    missing = [describe_unknown("column", name, found.names) for name in columns if name not in found.names]
    if missing:
        expected = ", ".join(columns)
        raise DataError("\n".join(missing), where=str(path), remedy=f"{path.name} needs the columns {expected}")
    numbered = [name for name in ("id", "query_id") if name in found.names and not _is_text(found.field(name).type)]
    if numbered:
        raise DataError(
            f"the column {numbered[0]!r} holds {found.field(numbered[0]).type}, expected texts",
            where=str(path),
            remedy="write the ids as texts",
        )
    return file


def _is_text(kind: pa.DataType) -> bool:
    return kind in (pa.string(), pa.large_string(), pa.string_view())
