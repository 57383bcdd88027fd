"""What a collection holds beside what a dataset holds, and whether its vectors are the encoder's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from embedtune import progress
from embedtune.errors import StorageError
from embedtune.models.document_key import DocumentKeys
from embedtune.models.encoder import Encoder
from embedtune.search.stamp import Stamp
from embedtune.search.vector_store import VectorStore

__all__ = ["Census", "take_census"]

_REPUBLISH = "embedtune publish brings the collection to the state of the dataset and the encoder"


class Census(NamedTuple):
    """How many documents a collection has, and which of them the dataset doesn't have."""

    stored: int
    strangers: Sequence[str]


def take_census(store: VectorStore, encoder: Encoder, corpus: Mapping[str, str]) -> Census:
    """Returns the census; documents that only one side has, or whose texts differ, are said.

    Only ids and stamps are read. Raises StorageError where a vector isn't this encoder's, or
    nothing of the dataset is there.
    """
    keys, stored = DocumentKeys(encoder, corpus), 0
    strangers: list[str] = []
    changed: list[str] = []
    others: list[str] = []
    unsigned: list[str] = []
    for document_id, content_hash in store.content_hashes():
        stored += 1
        stamp = Stamp.read(content_hash)
        if stamp is None:
            unsigned.append(document_id)
        elif stamp.encoder != keys[document_id]:
            others.append(document_id)
        if document_id not in corpus:
            strangers.append(document_id)
        elif stamp is not None and stamp.text != Stamp.text_of(document_id, corpus[document_id]):
            changed.append(document_id)
    _refuse(store, stored, others, unsigned)
    shared = stored - len(strangers)
    if not shared:
        raise StorageError(
            f"none of the dataset's {len(corpus):,} documents is in the collection, which holds {stored:,}",
            where=store.place,
            remedy=f"name another --collection; {_REPUBLISH}",
        )
    progress.say(f"{store.place}: {shared:,} of the dataset's {len(corpus):,} documents, index {store.index}")
    _say(strangers, "documents of the collection aren't in the dataset, so nothing says that they are relevant")
    if shared < len(corpus):
        progress.say(
            f"warning: {len(corpus) - shared:,} documents of the dataset aren't in the collection and can't be "
            f"found there; {_REPUBLISH}"
        )
    _say(changed, f"documents have another text in the dataset than when they were published; {_REPUBLISH}")
    return Census(stored, strangers)


def _refuse(store: VectorStore, stored: int, others: Sequence[str], unsigned: Sequence[str]) -> None:
    for ids, what in ((others, "are another encoder's"), (unsigned, "don't say which encoder they are from")):
        if ids:
            raise StorageError(
                f"the vectors of {len(ids):,} of {stored:,} documents in the collection {what}, such as {ids[0]!r}",
                where=store.place,
                remedy="name the encoder that they were published with, with the same --max-length and "
                "--document-instruction; or publish this encoder's: embedtune publish ENCODER DATASET --to …",
            )


def _say(ids: Sequence[str], what: str) -> None:
    if ids:
        progress.say(f"warning: {len(ids):,} {what}, such as {ids[0]!r}")
