"""The retriever of each system, how long a query takes in it, and how much it keeps on the disk."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from embedtune import progress
from embedtune.data.dataset import RetrievalDataset
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder
from embedtune.packaged import MINILM, minilm_folder
from embedtune.search.bm25 import BM25Retriever
from embedtune.search.dense import DenseRetriever
from embedtune.search.fusion import HybridRetriever, Retriever
from embedtune.search.reranking import Reranker, RerankingRetriever

__all__ = ["Searcher", "index_bytes", "model_bytes", "query_milliseconds"]

_WARM_UP = 3
_TOP_K = 10
_WEIGHTS = frozenset({".safetensors", ".onnx", ".bin"})


@dataclass(frozen=True)
class Searcher:
    """Makes a system's retriever over any corpus. `encoder` is the base, or the tuned model of a tuned system."""

    system: str
    encoder: Callable[[], Encoder]
    cache: EmbeddingCache
    reranker: Callable[[], Reranker]
    rerank_depth: int

    def over(self, corpus: Mapping[str, str]) -> Retriever:
        """Returns the retriever; documents are encoded through the cache."""
        if self.system == "bm25":
            return BM25Retriever(corpus)
        dense = DenseRetriever(self.encoder(), corpus, self.cache)
        if self.system == "hybrid":
            return HybridRetriever([dense, BM25Retriever(corpus)])
        if self.system == "rerank":
            return RerankingRetriever(dense, self.reranker(), corpus, depth=self.rerank_depth)
        return dense


def query_milliseconds(retriever: Retriever, dataset: RetrievalDataset, split: str, count: int) -> float:
    """Returns the median milliseconds of a query, asked alone: embedding and search, after some to warm up.

    No vector of a query comes from a cache.
    """
    asked = dataset.split_query_ids(split)[:count]
    _forget_queries(retriever)
    seconds = []
    with progress.hidden():
        for query_id in [*asked[:_WARM_UP], *asked]:
            started = time.perf_counter()
            retriever.retrieve({query_id: dataset.queries[query_id]}, _TOP_K)
            seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds[len(asked[:_WARM_UP]) :])


def index_bytes(retriever: Retriever) -> int:
    """Returns the bytes of what is searched: float32 vectors, postings, or both."""
    if isinstance(retriever, BM25Retriever | DenseRetriever):
        return retriever.size_bytes
    return sum(index_bytes(part) for part in _parts(retriever))


def model_bytes(name: str) -> int | None:
    """Returns the bytes of a model's weights; None where they aren't on this disk."""
    folder = minilm_folder() if name == MINILM else Path(name).expanduser()
    if not folder.is_dir():
        try:
            folder = Path(snapshot_download(name, local_files_only=True))
        except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError, ValueError):
            return None
    files = [file for file in folder.rglob("*") if file.suffix in _WEIGHTS and file.is_file()]
    return sum(file.stat().st_size for file in files) or None


def _parts(retriever: Retriever) -> list[Retriever]:
    if isinstance(retriever, HybridRetriever):
        return retriever.retrievers
    return [retriever.first] if isinstance(retriever, RerankingRetriever) else []


def _forget_queries(retriever: Retriever) -> None:
    if isinstance(retriever, DenseRetriever):
        retriever.cache = EmbeddingCache(None)
    for part in _parts(retriever):
        _forget_queries(part)
