"""How good a model is right now, by retrieval on the val split."""

from __future__ import annotations

import copy
from collections.abc import Collection

from sentence_transformers import SentenceTransformer

from embedtune.data.corpus_sample import sample_corpus
from embedtune.data.dataset import RetrievalDataset
from embedtune.evaluate.evaluation import evaluate
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions
from embedtune.models.sentence_transformer import SentenceTransformerEncoder
from embedtune.search.dense import DenseRetriever

__all__ = ["Validator"]


class Validator:
    """Scores a model by one measure on a split, over the corpus or a fixed sample of it.

    A sample holds every document relevant to a query of the split, every one of `mined`, and
    others by the seed up to `max_documents`.
    """

    def __init__(
        self,
        dataset: RetrievalDataset,
        split: str,
        *,
        measure: str,
        max_documents: int,
        seed: int,
        encoder_options: EncoderOptions,
        cache: EmbeddingCache,
        mined: Collection[str] = (),
    ) -> None:
        self.dataset = dataset
        self.split = split
        self.measure = measure
        self.encoder_options = encoder_options
        self.cache = cache
        self.corpus = sample_corpus(dataset, dataset.split_query_ids(split), max_documents, seed, also=mined)

    def score(self, model: SentenceTransformer) -> float:
        """Returns the mean of the measure; the model itself is left as it is."""
        encoder = SentenceTransformerEncoder(copy.deepcopy(model), self.encoder_options)
        retriever = DenseRetriever(encoder, self.corpus, self.cache)
        return evaluate(self.dataset, retriever, split=self.split).scores.mean(self.measure)
