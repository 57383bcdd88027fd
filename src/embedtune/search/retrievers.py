"""The retriever of a name: dense, bm25 or hybrid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, get_args

from embedtune.errors import OptionsError, describe_unknown
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder
from embedtune.search.bm25 import BM25Retriever
from embedtune.search.engine import Engine
from embedtune.search.fusion import HybridRetriever, Retriever

if TYPE_CHECKING:
    from embedtune.search.store_index import StoreIndex

__all__ = ["RetrieverName", "make_retriever", "needs_encoder"]

RetrieverName = Literal["dense", "bm25", "hybrid"]


def needs_encoder(name: str) -> bool:
    """Returns whether that retriever encodes text; raises OptionsError for an unknown one."""
    if name not in get_args(RetrieverName):
        raise OptionsError(describe_unknown("retriever", name, get_args(RetrieverName)))
    return name != "bm25"


def make_retriever(
    name: str,
    corpus: Mapping[str, str],
    encoder: Encoder | None = None,
    cache: EmbeddingCache | None = None,
    index: str | StoreIndex = "exact",
    engine: Engine | None = None,
) -> Retriever:
    """Returns a retriever over the corpus; dense and hybrid encode it, through the cache if given.

    `index` names what dense search uses, see search/indexes, or is a collection in a vector store,
    whose documents aren't encoded; `engine` says where it is done. Raises OptionsError for an
    unknown name, or for a retriever that needs an encoder and has none.
    """
    if not needs_encoder(name):
        return BM25Retriever(corpus)
    if encoder is None:
        raise OptionsError(f"the retriever {name!r} needs an encoder", remedy="name one with --encoder")
    from embedtune.search.dense import DenseRetriever  # loads torch, which BM25 doesn't need (design/0003)

    dense = DenseRetriever(encoder, corpus, cache or EmbeddingCache(None), index, engine=engine)
    return dense if name == "dense" else HybridRetriever([dense, BM25Retriever(corpus)])
