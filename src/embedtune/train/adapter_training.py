"""The adapter: trained on cached vectors, folded where asked for, saved on the query route."""

from __future__ import annotations

from typing import Any

from sentence_transformers import SentenceTransformer, SimilarityFunction
from sentence_transformers.base.modules import Normalize

from embedtune.errors import EncoderError
from embedtune.evaluate.measures import Measure
from embedtune.models.moved_documents import has_moved_documents
from embedtune.models.sentence_transformer import apply_options, load_model
from embedtune.models.tuned import TunedModel
from embedtune.models.vector_map import VectorMap, linear_module, take_query_map
from embedtune.search.vector_index import VectorIndex
from embedtune.train.job import Checkpoint, TrainingJob, best_of
from embedtune.train.job_vectors import JobVectors
from embedtune.train.map_training import TrainedMap, train_map
from embedtune.train.methods.adapter import AdapterOptions

__all__ = ["train_adapter"]


def train_adapter(job: TrainingJob, options: AdapterOptions) -> TunedModel:
    """Trains a map by InfoNCE on cached vectors, from the identity, and saves it on the query route.

    A residual map of a frozen model's vectors: Yoon et al., Search-Adaptor
    (https://arxiv.org/abs/2310.08750), here for queries alone and with this project's loss.
    """
    model = load_model(job.encoder, job.encoder_options)
    if take_query_map(model) is not None or has_moved_documents(job.encoder):
        raise EncoderError(
            f"{job.encoder} already holds a query-side map or moved documents",
            remedy="name the model that it was made from; NUDGE can follow an adapter, not the other way round",
        )
    apply_options(model, job.encoder_options)
    vectors = JobVectors.encode(job, options.val_split)
    trained = train_map(vectors, options)
    if options.fold and trained.best is not None:
        return _save_folded(trained, trained.best, model, vectors, options)
    if trained.best is not None:
        trained.best.attach(model)
    record = job.record("adapter", options, options.val_measure, trained.checkpoints)
    return TunedModel.save(model, job.folder, record | _costs(vectors), overwrite=job.overwrite)


def _costs(vectors: JobVectors) -> dict[str, Any]:
    documents, queries = vectors.encoded["documents"], vectors.encoded["queries"]
    said = f"{documents} documents and {queries} queries had to be encoded; the rest was in the cache"
    return {"encoded": dict(vectors.encoded), "words": [said]}


def _save_folded(
    trained: TrainedMap, query_map: VectorMap, model: SentenceTransformer, vectors: JobVectors, options: AdapterOptions
) -> TunedModel:
    """Saves a model with one map for queries and documents, or the base where folding lost the gain."""
    folded = query_map.fold()
    measure = Measure.parse(options.val_measure)
    matrix = folded.matrix.numpy()
    index = VectorIndex(vectors.documents @ matrix, list(vectors.job.training_set.dataset.corpus))
    score = vectors.score_val(index, vectors.val @ matrix, [measure]).mean(str(measure))
    best = best_of(trained.checkpoints)
    checkpoints = [trained.checkpoints[0], Checkpoint(best.step, score, best.loss)]
    said = [
        f"folded into one map for queries and documents: val {measure} {best.score:.4f} before, {score:.4f} after; "
        f"{folded.lost_share:.0%} of the map can't be folded",
        "scores of the folded model are inner products, and every document must be encoded again",
    ]
    if best_of(checkpoints).step:
        model.append(Normalize())
        model.append(linear_module(folded.matrix))
        model.similarity_fn_name = SimilarityFunction.DOT_PRODUCT
    job = vectors.job
    record = job.record("adapter", options, options.val_measure, checkpoints) | _costs(vectors)
    record |= {"unfolded": vars(best), "fold_lost_share": folded.lost_share, "words": said}
    return TunedModel.save(model, job.folder, record, overwrite=job.overwrite)
