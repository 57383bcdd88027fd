"""Opens the collection that eval and mine search in place of an index of their own."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from embedtune.errors import OptionsError
from embedtune.options import Options
from embedtune.search.engine_options import EngineOptions
from embedtune.search.stores import STORES
from embedtune.search.vector_store import StoreOptions, VectorStore

__all__ = ["StoreSearch", "is_store", "open_collection", "refuse_engine"]


class StoreSearch(Options):
    """Where the published documents are, and how closely the search is looked at."""

    HEADING: ClassVar[str] = "Vector store, where --index names one"

    path: Path | None = Field(default=None, description="Folder that embedtune publish was given.")
    url: str | None = Field(
        default=None, description="Address of a server; its token is in $MILVUS_TOKEN or $QDRANT_API_KEY."
    )
    collection: str = Field(default="documents", description="Name of the collection.")
    store_timeout_s: int = Field(default=30, gt=0, description="Seconds to wait for a server's answer.")
    recall_sample: int = Field(
        default=200,
        ge=0,
        description="Queries whose exact best documents are found too, to measure recall; that reads every stored "
        "vector once. 0 leaves it out.",
    )


def is_store(index: str) -> bool:
    """Returns whether an index's name is that of a store."""
    return index in STORES.names()


def refuse_engine(index: str, engine_options: EngineOptions) -> None:
    """Raises OptionsError where an engine is named for a store, whose documents nobody encodes."""
    if is_store(index) and engine_options.engine != "local":
        raise OptionsError(
            f"the documents are encoded and searched in {index} already", remedy="leave out --engine or --index"
        )


def open_collection(name: str, options: StoreSearch, dim: int) -> VectorStore:
    """Returns the collection, which isn't changed.

    Raises OptionsError where no place is named, StorageError where it isn't there or can't be reached.
    """
    module = STORES.load(name)
    known = module.OPTIONS.model_fields
    if options.url is not None and "url" not in known:
        raise OptionsError(f"{name} is a folder and has no address", remedy="name it with --path in place of --url")
    given: dict[str, object] = {"collection": options.collection, "path": options.path, "url": options.url}
    given |= {"timeout_s": options.store_timeout_s}
    store_options: StoreOptions = module.OPTIONS(**{field: given[field] for field in given if field in known})
    store: VectorStore = module.open_store(store_options, dim, existing=True)
    return store
