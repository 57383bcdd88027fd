"""A part of a corpus on which models can be compared cheaply."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from embedtune.data.dataset import RetrievalDataset

__all__ = ["sample_corpus"]


def sample_corpus(
    dataset: RetrievalDataset, query_ids: Sequence[str], max_documents: int | None, seed: int
) -> Mapping[str, str]:
    """Returns the corpus, or a sample with every document relevant to one of the queries and others by the seed.

    The order is the corpus's. A sample is easier to search than the whole: compare scores on one
    sample only with scores on the same.
    """
    if max_documents is None or len(dataset.corpus) <= max_documents:
        return dataset.corpus
    relevant = {document_id for query_id in query_ids for document_id in dataset.positives(query_id)}
    others = [document_id for document_id in dataset.corpus if document_id not in relevant]
    wanted = max(0, max_documents - len(relevant))
    chosen = relevant.union(random.Random(seed).sample(others, min(wanted, len(others))))
    return {document_id: text for document_id, text in dataset.corpus.items() if document_id in chosen}
