"""BM25, the baseline that needs no model and is hard to beat."""

from __future__ import annotations

from collections.abc import Mapping

import bm25s
from pydantic import Field

from embedtune import progress
from embedtune.errors import EvaluationError
from embedtune.options import Options
from embedtune.search.run import Run, rank_top
from embedtune.search.terms import terms

__all__ = ["BM25Options", "BM25Retriever"]


class BM25Options(Options):
    """BM25's parameters; the defaults are Anserini's, which BEIR's figures use."""

    k1: float = Field(default=0.9, ge=0, description="How slowly repeated terms stop counting.")
    b: float = Field(default=0.4, ge=0, le=1, description="How much long documents are held back.")


class BM25Retriever:
    """Ranks documents by BM25 over terms(); documents that share no term are left out."""

    name = "bm25"

    def __init__(self, corpus: Mapping[str, str], options: BM25Options | None = None) -> None:
        options = options or BM25Options()
        self.document_ids = list(corpus)
        self._bm25 = bm25s.BM25(k1=options.k1, b=options.b, method="lucene")
        tokens = []
        with progress.task("cut documents into terms", total=len(corpus)) as cutting:
            for text in corpus.values():
                tokens.append(terms(text))
                cutting.advance()
        if not any(tokens):
            raise EvaluationError("no document holds a search term", remedy="BM25 needs words or Chinese text")
        self._bm25.index(tokens, show_progress=False)

    @property
    def size_bytes(self) -> int:
        """Returns the size of the postings, as they are saved."""
        return int(sum(part.nbytes for part in self._bm25.scores.values() if hasattr(part, "nbytes")))

    def retrieve(self, queries: Mapping[str, str], top_k: int) -> Run:
        """Returns the `top_k` best documents of each query, fewer where fewer share a term."""
        rankings = {}
        with progress.task("search by terms", total=len(queries)) as searching:
            for query_id, text in queries.items():
                known = [term for term in terms(text) if term in self._bm25.vocab_dict]
                scores = self._bm25.get_scores(known) if known else None
                rankings[query_id] = [] if scores is None else rank_top(scores, self.document_ids, top_k, above=0.0)
                searching.advance()
        return Run(rankings)
