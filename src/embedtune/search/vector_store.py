"""What a vector store has to do to be published to, and what all stores share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from pydantic import Field

from embedtune.artifact import disk_errors
from embedtune.errors import DataError, OptionsError, StorageError
from embedtune.models.encoder import Vectors
from embedtune.options import Options
from embedtune.search.run import RankedDocument

__all__ = [
    "COLLECTION_REMEDY",
    "DocumentBatch",
    "StoreOptions",
    "StoredVectors",
    "VectorStore",
    "check_characters",
    "check_dim",
    "check_fields",
    "chosen_place",
    "first_line",
    "make_folder",
    "no_collection",
    "not_done",
    "stopped_answering",
]

COLLECTION_REMEDY = "name another --collection, or delete this one with the store's own tools"


class StoreOptions(Options):
    """What every store is asked."""

    collection: str = Field(
        default="documents",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$",
        description="Name of the collection: letters, digits and underscores; stores don't agree on more.",
    )


class DocumentBatch(NamedTuple):
    """Documents to write: ids, texts, their stamps as texts (see Stamp), and vectors (documents, dim)."""

    ids: Sequence[str]
    texts: Sequence[str]
    content_hashes: Sequence[str]
    vectors: Vectors


class StoredVectors(NamedTuple):
    """Ids of documents and their vectors, (documents, dim), as a collection has them."""

    ids: Sequence[str]
    vectors: Vectors


class VectorStore(Protocol):
    """One collection of documents, open; scores are inner products, because moved vectors aren't of unit length.

    `place` says where it is and `index` how it searches; `exact` is whether that finds all there is.
    """

    place: str
    index: str
    exact: bool

    def content_hashes(self) -> Iterator[tuple[str, str]]:
        """Yields the id and the stamp of every document that is there, in any order."""

    def vectors(self) -> Iterator[StoredVectors]:
        """Yields all documents that can be found by a search, a part at a time, in any order."""

    def fetch(self, ids: Sequence[str]) -> StoredVectors:
        """Returns those of these documents that are there, in any order."""

    def write(self, batch: DocumentBatch, *, replacing: bool) -> None:
        """Writes documents that are new, or with `replacing` those whose ids are there already.

        On return they are there for good: a process that is killed next loses none of them.
        """

    def delete(self, ids: Sequence[str]) -> None:
        """Removes the documents of these ids."""

    def finish(self) -> None:
        """Does what has to follow the last write before a search, such as building the index."""

    def search(self, query_vectors: Vectors, top_k: int) -> list[list[RankedDocument]]:
        """Returns for each row of `query_vectors` up to `top_k` documents, best first, as the store's client does."""

    def close(self) -> None:
        """Lets go of files and connections."""


def check_characters(corpus: Mapping[str, str]) -> None:
    """Raises DataError where an id or a text holds a lone surrogate, which no store takes."""
    bad = [document_id for document_id, text in corpus.items() if not _is_whole(document_id + text)]
    if bad:
        raise DataError(
            f"{len(bad)} documents hold half a character, which no store takes, such as {bad[0]!r}",
            where=f"corpus[{bad[0]!r}]",
            remedy="embedtune check --fix writes a clean copy of the dataset",
        )


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def make_folder(path: Path) -> None:
    """Makes a store's folder; raises StorageError where it can't be, or something else is there."""
    with disk_errors(path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise StorageError(f"{path} isn't a folder", where=str(path), remedy="name a folder with --path") from None


def check_dim(found: int, expected: int, collection: str, place: str) -> None:
    """Raises StorageError where a collection's vectors are of another length than the model's."""
    if found != expected:
        raise StorageError(
            f"the collection {collection!r} has vectors of {found} dimensions, this model gives {expected}",
            where=place,
            remedy=COLLECTION_REMEDY,
        )


def check_fields(found: Iterable[str], expected: Iterable[str], collection: str, place: str) -> None:
    """Raises StorageError where a collection lacks fields that publish writes, so that it is somebody else's."""
    missing = sorted(set(expected) - set(found))
    if missing:
        raise StorageError(
            f"the collection {collection!r} has no field {', '.join(missing)}, so embedtune didn't write it",
            where=place,
            remedy=COLLECTION_REMEDY,
        )


def chosen_place(path: Path | None, url: str | None) -> str:
    """Returns the one of --path and --url that was given.

    Raises OptionsError for none, for both, and for an address with a password, which would be printed.
    """
    if (path is None) == (url is None):
        found = "neither --path nor --url was" if path is None else "both --path and --url were"
        raise OptionsError(f"{found} given", remedy="--path FOLDER for a store on disk, or --url for a server")
    if url is not None and urlsplit(url).username is not None:
        raise OptionsError(
            "the address of --url holds a name or a password, which others could read",
            remedy="put the token into the environment; the help text of --url says where",
        )
    return str(path if path is not None else url)


def no_collection(collection: str, place: str) -> StorageError:
    """Returns the error of a collection that is to be searched and isn't there."""
    return StorageError(
        f"there is no collection {collection!r} to search",
        where=place,
        remedy="name another --collection or place, or fill this one with embedtune publish",
    )


def not_done(store: str, place: str, words: str) -> StorageError:
    """Returns the error of a store on disk, with the words of its client."""
    return StorageError(
        f"{store} can't do what was asked: {words}",
        where=place,
        remedy="see that you may write there, that the disk isn't full and that no other process has it open; "
        "then run the same command again, which goes on where it stopped",
    )


def stopped_answering(store: str, place: str, timeout_s: float, words: str) -> StorageError:
    """Returns the error of a server that is down, stalls, or refuses, with the words of the store's client."""
    return StorageError(
        f"{store} didn't do what was asked (time limit {timeout_s:g} s): {words}",
        where=place,
        remedy="see that the server runs and that the address and the token are right; then run the same command "
        "again, which goes on where it stopped",
    )


def first_line(error: BaseException) -> str:
    """Returns what an error of a store's client says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
