"""How near an export's vectors and rankings are to the float32 model's, on a dataset."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import OptionsError, describe_unknown
from embedtune.evaluate.comparison import CompareOptions, Difference, compare
from embedtune.evaluate.evaluation import Evaluation, evaluate
from embedtune.export.export_options import ProofOptions
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, Vectors
from embedtune.search.dense import DenseRetriever

__all__ = ["Cosines", "Fidelity", "Reference", "measure_fidelity"]


@dataclass(frozen=True)
class Cosines:
    """Cosines of an export's vectors to the float32 model's."""

    texts: int
    lowest: float
    first_percentile: float
    mean: float


@dataclass(frozen=True)
class Fidelity:
    """Cosines of all texts (None in another space), and the difference in retrieval: export minus float32."""

    cosines: Cosines | None
    measure: str
    queries: int
    documents: int
    difference: Difference

    @property
    def lost(self) -> float:
        """Returns the share of the measure that is lost; negative where the export is better."""
        return -self.difference.mean / self.difference.mean_a if self.difference.mean_a else 0.0

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON values."""
        return asdict(self) | {"lost": self.lost}


@dataclass(frozen=True)
class Reference:
    """The float32 model's vectors and results on the texts that exports are compared on."""

    corpus: Mapping[str, str]
    queries: Mapping[str, str]
    documents: Vectors
    asked: Vectors
    evaluation: Evaluation

    @classmethod
    def measure(
        cls, dataset: RetrievalDataset, encoder: Encoder, cache: EmbeddingCache, options: ProofOptions
    ) -> Reference:
        """Returns the reference; raises OptionsError for an unknown measure."""
        query_ids = dataset.split_query_ids(options.split)
        queries = {query_id: dataset.queries[query_id] for query_id in query_ids}
        corpus = _sampled(dataset, query_ids, options)
        evaluation = evaluate(dataset, DenseRetriever(encoder, corpus, cache), split=options.split)
        if options.measure not in evaluation.scores.values:
            raise OptionsError(describe_unknown("measure", options.measure, evaluation.scores.values))
        documents = cache.encode(encoder, list(corpus.values()), "document")
        return cls(corpus, queries, documents, cache.encode(encoder, list(queries.values()), "query"), evaluation)


def measure_fidelity(
    dataset: RetrievalDataset,
    reference: Reference,
    encoder: Encoder,
    cache: EmbeddingCache,
    options: ProofOptions,
    *,
    same_space: bool = True,
) -> Fidelity:
    """Returns how an export differs from the float32 model on every document and query of the reference.

    Cosines mean something only where both have vectors in the `same_space`.
    """
    evaluation = evaluate(dataset, DenseRetriever(encoder, reference.corpus, cache), split=options.split)
    comparison = compare(reference.evaluation, evaluation, CompareOptions(measure=options.measure, seed=options.seed))
    cosines = None
    if same_space:
        documents = cache.encode(encoder, list(reference.corpus.values()), "document")
        asked = cache.encode(encoder, list(reference.queries.values()), "query")
        cosines = _cosines(np.concatenate([reference.documents, reference.asked]), np.concatenate([documents, asked]))
    return Fidelity(cosines, options.measure, comparison.queries, len(reference.corpus), comparison.main)


def _cosines(one: Vectors, other: Vectors) -> Cosines:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosines = np.einsum("ij,ij->i", one, other, dtype=np.float64) / np.maximum(lengths, 1e-12)
    return Cosines(len(cosines), float(cosines.min()), float(np.quantile(cosines, 0.01)), float(cosines.mean()))


def _sampled(dataset: RetrievalDataset, query_ids: list[str], options: ProofOptions) -> dict[str, str]:
    """Returns the corpus, or of a larger one the relevant documents and others by the seed."""
    if len(dataset.corpus) <= options.max_documents:
        return dict(dataset.corpus)
    relevant = {document_id for query_id in query_ids for document_id in dataset.positives(query_id)}
    others = [document_id for document_id in dataset.corpus if document_id not in relevant]
    wanted = min(max(0, options.max_documents - len(relevant)), len(others))
    chosen = relevant.union(random.Random(options.seed).sample(others, wanted))
    return {document_id: text for document_id, text in dataset.corpus.items() if document_id in chosen}
