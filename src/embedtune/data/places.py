"""Where data lies: a path on this machine, or a URL that fsspec reads, such as s3://bucket/dataset."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

from embedtune.errors import MissingPackageError

__all__ = ["place_of"]

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):/{1,2}(?P<rest>[^/].*|/.*)")


def place_of(path: str | Path) -> Path:
    """Returns a path, or for a URL what reads it in the same way.

    A URL may come as a Path, as from a command line, which has taken one of its slashes. Raises
    MissingPackageError where what reads that kind of URL isn't installed.
    """
    found = None if isinstance(path, Path) and path.is_absolute() else _URL.fullmatch(str(path))
    if found is None or Path(str(path)).exists():
        return Path(path)
    scheme, rest = found["scheme"], found["rest"]
    if scheme == "file":
        return Path("/" + rest.lstrip("/"))
    try:
        from upath import UPath

        place = UPath(f"{scheme}://{rest}")
        _ = place.fs
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"{scheme}:// needs the package {error.name!r}, which isn't installed",
            remedy="pip install 'embedtune[url]'",
        ) from None
    except (ImportError, ValueError) as error:  # fsspec names the package, or doesn't know the scheme
        raise MissingPackageError(
            f"{scheme}:// can't be read: {error}", remedy="install what fsspec asks for"
        ) from None
    return cast("Path", place)
