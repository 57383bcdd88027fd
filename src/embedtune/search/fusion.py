"""One ranking out of several."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

from embedtune.search.run import Run

__all__ = ["HybridRetriever", "Retriever", "fuse"]

_RRF_CONSTANT = 60
_DEPTH = 100


class Retriever(Protocol):
    """Anything that ranks a corpus for queries."""

    @property
    def name(self) -> str:
        """Returns the retriever's name in reports: dense, bm25, hybrid."""

    def retrieve(self, queries: Mapping[str, str], top_k: int) -> Run:
        """Returns the `top_k` best documents of each query."""


def fuse(runs: Sequence[Run], top_k: int, constant: int = _RRF_CONSTANT) -> Run:
    """Returns the reciprocal rank fusion of runs: each document's score is Σ 1 / (constant + rank).

    Cormack, Clarke, Büttcher, SIGIR 2009 (https://doi.org/10.1145/1571941.1572114), with its
    constant of 60; ranks count from 1.
    """
    fused = {}
    for query_id in dict.fromkeys(query_id for run in runs for query_id in run.rankings):
        scores: dict[str, float] = defaultdict(float)
        for run in runs:
            for place, document_id in enumerate(run.document_ids(query_id), start=1):
                scores[document_id] += 1.0 / (constant + place)
        fused[query_id] = scores
    whole = Run.from_scores(fused)
    return Run({query_id: documents[:top_k] for query_id, documents in whole.rankings.items()})


class HybridRetriever:
    """Fuses what other retrievers find, each to a depth of at least 100."""

    name = "hybrid"

    def __init__(self, retrievers: Sequence[Retriever]) -> None:
        self.retrievers = list(retrievers)

    def retrieve(self, queries: Mapping[str, str], top_k: int) -> Run:
        """Returns the `top_k` best documents of each query by reciprocal rank fusion."""
        depth = max(_DEPTH, top_k)
        return fuse([retriever.retrieve(queries, depth) for retriever in self.retrievers], top_k)
