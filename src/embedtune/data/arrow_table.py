"""A table as an Arrow IPC file: uncompressed and mapped into memory, so that nothing is decoded or copied.

Format: https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

__all__ = ["ArrowTable"]


class ArrowTable:
    """Opening reads where each batch lies; the system loads the pages that are touched, and may drop them again."""

    form: ClassVar[str] = "Arrow"
    suffix: ClassVar[str] = ".arrow"

    def __init__(self, path: Path) -> None:
        source = pa.memory_map(str(path)) if isinstance(path, Path) else path.open("rb")  # the latter at a URL
        reader = pa.ipc.open_file(source)
        self.schema: pa.Schema = reader.schema
        self._batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        self.sizes: Sequence[int] = [batch.num_rows for batch in self._batches]
        self._sound: set[tuple[int, str]] = set()

    def read(self, group: int, column: str) -> pa.Array:
        """Returns a column of one batch; it is checked the first time, as Arrow would follow a wrong offset."""
        values = self._batches[group].column(column)
        if (group, column) not in self._sound:
            values.validate(full=True)
            self._sound.add((group, column))
        return values

    @staticmethod
    def writer(path: Path, schema: pa.Schema) -> pa.RecordBatchFileWriter:
        """Returns a writer that makes each table given to its `write_table` a batch."""
        return pa.ipc.new_file(str(path), schema)
