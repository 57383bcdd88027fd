"""A table as a Parquet file: compressed, decoded a row group at a time; its pages carry checksums."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["ParquetTable"]


class ParquetTable:
    """Opening reads the file's footer."""

    form: ClassVar[str] = "Parquet"
    suffix: ClassVar[str] = ".parquet"

    def __init__(self, path: Path) -> None:
        source = path if isinstance(path, Path) else path.open("rb")  # the latter at a URL
        self._file = pq.ParquetFile(source, page_checksum_verification=True)
        metadata = self._file.metadata
        self.schema: pa.Schema = self._file.schema_arrow
        self.sizes: Sequence[int] = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]

    def read(self, group: int, column: str) -> pa.Array:
        """Returns a column of one row group, checked."""
        values = self._file.read_row_group(group, columns=[column]).column(0).combine_chunks()
        values.validate(full=True)
        return values

    @staticmethod
    def writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
        """Returns a writer that makes each table given to its `write_table` a row group."""
        return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False, write_page_checksum=True)
