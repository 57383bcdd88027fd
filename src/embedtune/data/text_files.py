"""UTF-8 text files; a file in another encoding is refused with the place of its first bad byte."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO, TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, cast

from embedtune import progress
from embedtune.errors import DataError

__all__ = ["existing_path", "open_bytes", "open_text", "plain_suffix", "read_text"]

_BLOCK_BYTES = 1 << 20
_MEGABYTE = 1_000_000
_LONG_MEGABYTES = 20
"""From here on reading a file shows how far it is."""


def existing_path(source: str | Path | None, wanted: str) -> Path:
    """Returns the path of a source that must exist; raises DataError that says what was wanted."""
    remedy = f"give the path of {wanted}"
    if source is None:
        raise DataError("no source was named", remedy=remedy)
    path = Path(source).expanduser()
    if not path.exists():
        raise DataError(f"there is no file or folder {path}", remedy=remedy)
    return path


def plain_suffix(path: Path) -> str:
    """Returns the suffix in lower case, that of the uncompressed file for .gz."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def read_text(path: Path) -> str:
    """Returns the whole text of a UTF-8 file with its line ends, without a byte order mark."""
    with open_text(path, newline="") as file:
        return file.read()


@contextmanager
def open_text(path: Path, newline: str | None = None) -> Iterator[TextIOWrapper]:
    """Yields a UTF-8 file for reading; raises DataError for bytes that aren't UTF-8."""
    with open_bytes(path) as raw:
        try:
            yield TextIOWrapper(raw, encoding="utf-8-sig", newline=newline)
        except UnicodeDecodeError:
            raise _not_utf8(path) from None


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Yields a file or a .gz for reading; raises DataError for one that is missing or cut off."""
    try:
        with _opened(path) as raw, gzip.open(raw, "rb") if path.suffix.lower() == ".gz" else raw as file:
            yield cast("BinaryIO", file)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}", remedy="check the path") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"the compressed file can't be read to its end: {error}",
            where=str(path),
            remedy="fetch or compress the file again; it was probably cut off",
        ) from None
    except (PermissionError, IsADirectoryError) as error:
        raise DataError(f"can't read {path}: {error.strerror}", remedy="check the path and its rights") from None


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Yields a file as it is on the disk; a long one shows how many megabytes were read."""
    megabytes = path.stat().st_size // _MEGABYTE if path.is_file() else 0
    if megabytes < _LONG_MEGABYTES:
        with path.open("rb") as file:
            yield file
        return
    with (
        progress.task(f"read {path.name} (MB)", total=megabytes) as reading,
        BufferedReader(_Counted(path, reading), _BLOCK_BYTES) as file,
    ):
        yield file


class _Counted(FileIO):
    """A file that tells a progress task what was read of it, in megabytes."""

    def __init__(self, path: Path, reading: progress.ProgressTask) -> None:
        super().__init__(path)
        self._reading = reading
        self._bytes = 0

    def readinto(self, buffer: Any) -> int | None:
        """Reads as FileIO does, and counts."""
        count = super().readinto(buffer)
        before, self._bytes = self._bytes // _MEGABYTE, self._bytes + (count or 0)
        if self._bytes // _MEGABYTE > before:
            self._reading.advance(self._bytes // _MEGABYTE - before)
        return count


def _not_utf8(path: Path) -> DataError:
    offset, line, byte = _first_bad_byte(path)
    return DataError(
        f"not UTF-8: byte {byte:#04x} at offset {offset}",
        where=f"{path}:{line}",
        remedy="save the file as UTF-8; Chinese files are often GB18030: iconv -f GB18030 -t UTF-8 OLD > NEW",
    )


def _first_bad_byte(path: Path) -> tuple[int, int, int]:
    """Returns the offset, the line number and the value of the first byte that isn't UTF-8."""
    offset, line, rest = 0, 1, b""
    with open_bytes(path) as file:
        while True:
            block = file.read(_BLOCK_BYTES)
            data = rest + block
            try:
                data.decode("utf-8")
            except UnicodeDecodeError as error:
                cut_at_block_end = block and error.start >= len(data) - 3 and error.reason == "unexpected end of data"
                if not cut_at_block_end:
                    return offset + error.start, line + data[: error.start].count(b"\n"), data[error.start]
                good = error.start
            else:
                good = len(data)
            line += data[:good].count(b"\n")
            offset, rest = offset + good, data[good:]
