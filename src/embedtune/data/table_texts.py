"""The texts of a table on disk as a mapping, fetched when they are asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import ItemsView, Iterator, Mapping, Sequence, ValuesView
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from embedtune.errors import DataError, describe_unknown

__all__ = ["Table", "TableTexts", "damage_told", "open_table"]

_GROUPS_KEPT = 64
"""Groups of about 300,000 characters that stay decoded; the oldest makes place for the next."""


class Table(Protocol):
    """A file of rows in groups: `sizes` are the groups' counts of rows.

    Arrow's own exceptions and OSError may pass; whoever reads turns them into a DataError.
    """

    form: ClassVar[str]
    suffix: ClassVar[str]
    schema: pa.Schema
    sizes: Sequence[int]

    def __init__(self, path: Path) -> None: ...

    def read(self, group: int, column: str) -> pa.Array:
        """Returns a column of one group, checked: its texts are UTF-8 and lie inside the file."""
        ...

    @staticmethod
    def writer(path: Path, schema: pa.Schema) -> AbstractContextManager[Any]:
        """Returns an Arrow writer; each table given to its `write_table` becomes a group."""
        ...


class TableTexts(Mapping[str, str]):
    """Id → text of a table with the columns id and text.

    Opening reads where the groups are; the first look-up reads the ids; a text is read with its
    group. Iterating goes through the file once.
    """

    def __init__(self, kind: type[Table], path: Path) -> None:
        self._kind, self._path = kind, path
        self._table = open_table(kind, path, ["id", "text"])
        self._starts: list[int] = [0, *accumulate(self._table.sizes)]
        self._texts = lru_cache(_GROUPS_KEPT)(lambda group: self._read(group, "text"))

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[str]:
        for group in range(len(self._table.sizes)):
            yield from self._read(group, "id").to_pylist()

    def __contains__(self, text_id: object) -> bool:
        return text_id in self._row_of

    def __getitem__(self, text_id: str) -> str:
        row = self._row_of[text_id]
        group = bisect_right(self._starts, row) - 1
        text: str = self._texts(group)[row - self._starts[group]].as_py()
        return text

    def items(self) -> ItemsView[str, str]:
        """Returns a view that reads the file group by group."""
        return _Items(self)

    def values(self) -> ValuesView[str]:
        """Returns a view that reads the file group by group."""
        return _Values(self)

    def __reduce__(self) -> tuple[type[TableTexts], tuple[type[Table], Path]]:
        """Makes copies in other processes open the file themselves."""
        return TableTexts, (self._kind, self._path.absolute())

    def __repr__(self) -> str:
        return f"TableTexts({str(self._path)!r}, {len(self):,} texts)"

    @property
    def group_sizes(self) -> Sequence[int]:
        """Returns how many rows each group has."""
        return self._table.sizes

    def group(self, number: int) -> tuple[list[str], list[str]]:
        """Returns the ids and texts of a group."""
        return self._read(number, "id").to_pylist(), self._read(number, "text").to_pylist()

    def in_order(self) -> Iterator[tuple[list[str], list[str]]]:
        """Yields the ids and texts of each group; raises DataError where an id comes twice."""
        _ = self._row_of
        yield from map(self.group, range(len(self.group_sizes)))

    @cached_property
    def _row_of(self) -> dict[str, int]:
        rows = {text_id: row for row, text_id in enumerate(self)}
        if len(rows) < len(self):
            seen: set[str] = set()
            twice = next(text_id for text_id in self if text_id in seen or seen.add(text_id))  # type: ignore[func-returns-value]
            raise DataError(f"{self._path.stem}: the id {twice!r} appears twice", where=str(self._path))
        return rows

    def _read(self, group: int, column: str) -> pa.Array:
        with damage_told(self._kind, self._path):
            return self._table.read(group, column)


class _Items(ItemsView[str, str]):
    _mapping: TableTexts

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for ids, texts in self._mapping.in_order():
            yield from zip(ids, texts, strict=True)


class _Values(ValuesView[str]):
    _mapping: TableTexts

    def __iter__(self) -> Iterator[str]:
        for _, texts in self._mapping.in_order():
            yield from texts


def open_table(kind: type[Table], path: Path, columns: Sequence[str]) -> Table:
    """Returns the table without its rows read; raises DataError where it can't be, or lacks a column."""
    try:
        with damage_told(kind, path):
            table = kind(path)
    except FileNotFoundError:
        needed = ", ".join(f"{name}{path.suffix}" for name in ("corpus", "queries", "relevant_docs"))
        raise DataError(
            f"the folder {path.parent} has no {path.name}, so it isn't a dataset",
            remedy=f"give a folder with {needed}, or a .json file",
        ) from None
    found = table.schema
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
    return table


@contextmanager
def damage_told(kind: type[Table], path: Path) -> Iterator[None]:
    """Turns what Arrow, Python or the system says of a file that can't be read into a DataError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise DataError(
            f"{path.name} can't be read as {kind.form}: {str(error).splitlines()[0]}",
            where=str(path),
            remedy="write the folder again from its source; a file cut off while it was copied ends like this too",
        ) from None


def _is_text(kind: pa.DataType) -> bool:
    return kind in (pa.string(), pa.large_string(), pa.string_view())
