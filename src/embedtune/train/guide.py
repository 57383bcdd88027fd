"""What a frozen model thinks of the training texts, encoded once."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from embedtune.data.training_set import TrainingExample, TrainingSet
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, TextKind
from embedtune.train.targets import GuideVectors

__all__ = ["Guide"]


class Guide:
    """The vectors of every query and document of a training set by a model that isn't trained."""

    def __init__(self, training_set: TrainingSet, encoder: Encoder, cache: EmbeddingCache) -> None:
        dataset = training_set.dataset
        query_ids = list(dict.fromkeys(example.query_id for example in training_set.examples))
        document_ids = list(
            dict.fromkeys(d for example in training_set.examples for d in (example.positive_id, *example.negative_ids))
        )
        self._query_row = {query_id: row for row, query_id in enumerate(query_ids)}
        self._document_row = {document_id: row for row, document_id in enumerate(document_ids)}

        def encode(texts: list[str], kind: TextKind) -> torch.Tensor:
            vectors = torch.from_numpy(cache.encode(encoder, texts, kind))
            return torch.nn.functional.normalize(vectors, dim=1)

        self._queries = encode([dataset.queries[query_id] for query_id in query_ids], "query")
        self._documents = encode([dataset.corpus[document_id] for document_id in document_ids], "document")

    def vectors(self, examples: Sequence[TrainingExample], documents: Sequence[str]) -> GuideVectors:
        """Returns the unit vectors of a batch's queries and documents."""
        return GuideVectors(
            self._queries[[self._query_row[example.query_id] for example in examples]],
            self._documents[[self._document_row[document_id] for document_id in documents]],
        )
