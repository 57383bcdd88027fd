"""A part of a corpus on which models can be compared cheaply."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence

from embedtune.data.dataset import RetrievalDataset

__all__ = ["sample_corpus"]


def sample_corpus(
    dataset: RetrievalDataset,
    query_ids: Sequence[str],
    max_documents: int | None,
    seed: int,
    *,
    also: Collection[str] = (),
) -> Mapping[str, str]:
    """Returns the corpus, or a sample with every document relevant to one of the queries and others by the seed.

    Those of `also` are in it too. The order is the corpus's. A sample is easier to search than the
    whole: compare scores on one sample only with scores on the same.
    """
    if max_documents is None or len(dataset.corpus) <= max_documents:
        return dataset.corpus
    wanted = {document_id for query_id in query_ids for document_id in dataset.positives(query_id)}
    wanted.update(also)
    others = [document_id for document_id in dataset.corpus if document_id not in wanted]
    more = max(0, max_documents - len(wanted))
    wanted.update(random.Random(seed).sample(others, min(more, len(others))))
    return {document_id: text for document_id, text in dataset.corpus.items() if document_id in wanted}
