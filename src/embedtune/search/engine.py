"""Where a corpus is encoded and searched: in this process, or by one of the other engines of search/engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, EncoderOptions, Vectors
from embedtune.search.engine_options import EngineOptions
from embedtune.search.engines import ENGINES

if TYPE_CHECKING:
    from embedtune.search.vector_index import FoundRows  # loads torch, which BM25 doesn't need (design/0003)

__all__ = ["EncodedCorpus", "Engine"]

Rows = npt.NDArray[np.int64]


class EncodedCorpus(Protocol):
    """A corpus's vectors, wherever they lie; rows are places in the corpus. VectorIndex is one."""

    document_ids: Sequence[str]

    @property
    def vectors(self) -> npt.NDArray[Any]:
        """Returns all vectors, (documents, dim), in this process's memory."""

    def search_rows(self, query_vectors: Vectors, top_k: int) -> FoundRows:
        """Returns the `top_k` best documents of each row of `query_vectors`; exact, ties as in Run."""

    def vectors_of(self, rows: Rows) -> npt.NDArray[Any]:
        """Returns the vectors of rows, (n, dim)."""

    def lengths_of(self, rows: Rows) -> Vectors:
        """Returns the length of each row's vector, (n,)."""

    def pair_scores(self, vectors: Vectors, owners: Rows, rows: Rows) -> Vectors:
        """Returns (n,): the inner product of each `vectors[owners[i]]` with document `rows[i]`."""


@dataclass(frozen=True)
class Engine:
    """An engine with its options, and what a worker elsewhere loads the encoder by."""

    options: EngineOptions = field(default_factory=EngineOptions)
    encoder_name: str | None = None
    encoder_options: EncoderOptions = field(default_factory=EncoderOptions)

    def check(self) -> None:
        """Raises OptionsError for an unknown engine, MissingPackageError where it isn't installed."""
        ENGINES.load(self.options.engine)

    def encode_corpus(self, encoder: Encoder, corpus: Mapping[str, str], cache: EmbeddingCache) -> EncodedCorpus:
        """Returns the corpus encoded as documents; what was encoded before isn't again.

        Raises what `check` does, and OptionsError for a corpus that the engine can't take.
        """
        encoded: EncodedCorpus = ENGINES.load(self.options.engine).encode_corpus(encoder, corpus, cache, self)
        return encoded
