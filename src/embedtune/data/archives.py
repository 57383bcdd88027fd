"""Zip archives, unpacked only inside a temporary folder."""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from embedtune.artifact import disk_errors
from embedtune.errors import DataError

__all__ = ["unpacked"]

_LARGEST_RATIO = 200
_SMALL_BYTES = 100_000_000


@contextmanager
def unpacked(source: Path) -> Iterator[Path]:
    """Yields a folder as it is, or a zip's content in a temporary folder that is removed afterwards.

    A folder that is all there is in the zip is entered. Raises DataError for a zip that is cut
    off, that names a place outside its folder, or that unpacks to far more than a text would.
    """
    if source.is_dir():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="embedtune-") as temporary:
        folder = Path(temporary)
        with disk_errors(folder):
            _unpack(source, folder)
        entries = [entry for entry in folder.iterdir() if entry.name != "__MACOSX"]
        try:
            yield entries[0] if len(entries) == 1 and entries[0].is_dir() else folder
        except DataError as error:
            raise _named_after(error, str(folder), str(source)) from None


def _named_after(error: DataError, temporary: str, source: str) -> DataError:
    """Returns the error with the zip's name where the temporary folder's stood."""
    where = None if error.where is None else error.where.replace(temporary, source)
    return DataError(error.found.replace(temporary, source), where=where, remedy=error.remedy)


def _unpack(source: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
            for member in members:
                _refuse_unsafe(member, source)
            for member in members:
                _write_member(archive, member, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"not a whole zip file: {error}",
            where=str(source),
            remedy="fetch it again; it was probably cut off, or it is encrypted or not a zip",
        ) from None


def _refuse_unsafe(member: zipfile.ZipInfo, source: Path) -> None:
    name = member.orig_filename.replace("\\", "/")
    path = PurePosixPath(name)
    outside = path.is_absolute() or ".." in path.parts or ":" in name.split("/")[0]
    if outside or stat.S_ISLNK(member.external_attr >> 16):
        raise DataError(
            f"the zip would write outside its folder: {member.orig_filename!r}",
            where=str(source),
            remedy="don't use this file; ask where it came from. Nothing was unpacked",
        )
    if member.file_size > max(_SMALL_BYTES, _LARGEST_RATIO * member.compress_size):
        raise DataError(
            f"{name!r} would unpack from {member.compress_size} to {member.file_size} bytes",
            where=str(source),
            remedy="text doesn't shrink that much; if it is right, unpack it yourself and give the folder",
        )


def _write_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    target = folder.joinpath(*PurePosixPath(member.filename).parts)
    if member.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as packed, target.open("wb") as file:
        shutil.copyfileobj(packed, file)
