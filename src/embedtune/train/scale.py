"""Which scale a training takes: the one asked for, the base model's own, or the one that explains val best."""

from __future__ import annotations

import random
from pathlib import Path

from embedtune import progress
from embedtune.data.training_set import TrainingSet
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.packaged import MINILM
from embedtune.train.options import TrainOptions
from embedtune.train.temperature import CANDIDATES, KnownScale, best_scale, known_scale

__all__ = ["choose_scale"]

_QUERIES, _DOCUMENTS = 200, 5000


def choose_scale(
    training_set: TrainingSet,
    encoder: str,
    options: TrainOptions,
    encoder_options: EncoderOptions,
    cache: EmbeddingCache,
) -> KnownScale:
    """Returns the scale and where it comes from, and says it where it wasn't asked for."""
    if options.scale is not None:
        return KnownScale(options.scale, "--scale")
    place = Path(encoder).expanduser()
    known = known_scale(encoder, place if encoder != MINILM and place.is_dir() else None)
    chosen = known or _by_val(training_set, encoder, options, encoder_options, cache)
    progress.say(f"scale {chosen.scale:g} (temperature {1 / chosen.scale:g}): {chosen.source}")
    return chosen


def _by_val(
    training_set: TrainingSet,
    encoder: str,
    options: TrainOptions,
    encoder_options: EncoderOptions,
    cache: EmbeddingCache,
) -> KnownScale:
    """Returns the candidate under which the base model finds val's relevant documents most likely."""
    dataset = training_set.val_dataset
    generator = random.Random(options.seed)
    asked = [q for q in dataset.split_query_ids(options.val_split) if dataset.positives(q)]
    query_ids = sorted(generator.sample(asked, min(_QUERIES, len(asked))))
    wanted = dict.fromkeys(d for query_id in query_ids for d in dataset.positives(query_id))
    others = [document_id for document_id in dataset.corpus if document_id not in wanted]
    document_ids = [*wanted, *generator.sample(others, min(_DOCUMENTS, len(others)))]
    column = {document_id: place for place, document_id in enumerate(document_ids)}
    loaded = load_encoder(encoder, encoder_options)
    queries = cache.encode(loaded, [dataset.queries[query_id] for query_id in query_ids], "query")
    documents = cache.encode(loaded, [dataset.corpus[document_id] for document_id in document_ids], "document")
    relevant = {row: [column[d] for d in dataset.positives(query_id)] for row, query_id in enumerate(query_ids)}
    scale = best_scale(queries @ documents.T, relevant)
    listed = ", ".join(f"{candidate:g}" for candidate in CANDIDATES)
    return KnownScale(scale, f"of {listed} the one under which the base model explains {options.val_split} best")
