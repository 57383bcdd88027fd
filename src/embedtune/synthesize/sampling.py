"""Which documents to make queries for: near-duplicates once, and the whole corpus covered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import faiss
import numpy as np

from embedtune.data.near_duplicates import same_or_near, same_texts
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, Vectors

__all__ = ["Sample", "sample_documents"]

_ROUNDS = 20


@dataclass(frozen=True)
class Sample:
    """The documents chosen, in the corpus's order, out of how many, and what was left out as a near-duplicate.

    `copies` are, for a chosen document, the others of exactly its text. `clusters` is 0 where no
    encoder was given.
    """

    document_ids: list[str]
    corpus: int
    near_duplicates: int
    clusters: int = 0
    copies: Mapping[str, list[str]] = field(default_factory=dict)


def sample_documents(
    corpus: Mapping[str, str],
    count: int | None,
    seed: int,
    encoder: Encoder | None = None,
    cache: EmbeddingCache | None = None,
) -> Sample:
    """Returns `count` documents, or all; of near-duplicates only the first.

    With an encoder the documents' embeddings fall into `count` clusters (k-means), and the document
    nearest to the centre of each is taken. Without one they are drawn by a hash of seed and text, so
    that a corpus that grows keeps most of its sample.
    """
    ids = [document_id for document_id in corpus if corpus[document_id].strip()]
    repeats = {document_id for group in same_or_near(corpus, ids, "long") for document_id in group[1:]}
    left = [document_id for document_id in ids if document_id not in repeats]
    chosen, clusters = left, 0
    if count is not None and count < len(left):
        if encoder is None:
            chosen = sorted(left, key=lambda document_id: _lot(seed, corpus[document_id]))[:count]
        else:
            texts = [corpus[document_id] for document_id in left]
            vectors = (cache or EmbeddingCache(None)).encode(encoder, texts, "document")
            rows = _nearest_to_centres(vectors, count, seed)
            chosen, clusters = [left[row] for row in rows], count
    places = set(chosen)
    copies = {group[0]: group[1:] for group in same_texts(corpus, ids) if group[0] in places}
    in_order = [document_id for document_id in left if document_id in places]
    return Sample(in_order, len(corpus), len(repeats), clusters, copies)


def _lot(seed: int, text: str) -> bytes:
    return hashlib.blake2b(f"{seed}\0{text}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _nearest_to_centres(vectors: Vectors, count: int, seed: int) -> list[int]:
    """Returns `count` different rows: the one nearest to each centre; for empty clusters, the farthest ones left."""
    means = faiss.Kmeans(vectors.shape[1], count, niter=_ROUNDS, seed=seed, min_points_per_centroid=1)
    means.train(vectors)
    distances, clusters = means.index.search(vectors, 1)
    order = np.argsort(distances[:, 0], kind="stable")
    _, first = np.unique(clusters[order, 0], return_index=True)
    rows = order[np.sort(first)].tolist()
    taken = set(rows)
    farthest = (row for row in order[::-1].tolist() if row not in taken)
    return [*rows, *(next(farthest) for _ in range(count - len(rows)))]
