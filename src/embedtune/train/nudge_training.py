"""NUDGE: documents moved as far as val allows, and what is said of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from embedtune.errors import DataError, EncoderError, OptionsError
from embedtune.evaluate.apart import means_apart, queries_about
from embedtune.evaluate.measures import Measure
from embedtune.evaluate.scores import Scores
from embedtune.models.encoder import Vectors
from embedtune.models.moved_documents import has_moved_documents, write_document_vectors
from embedtune.models.sentence_transformer import apply_options, load_model
from embedtune.models.tuned import TunedModel
from embedtune.search.run import rank
from embedtune.search.vector_index import VectorIndex
from embedtune.train.job import Checkpoint, TrainingJob
from embedtune.train.job_vectors import JobVectors
from embedtune.train.methods.nudge import NudgeOptions
from embedtune.train.nudging import Judged, Rows, nudge_m, nudge_n

__all__ = ["FEWEST_COVERED", "train_nudge"]

FEWEST_COVERED = 0.2
"""The least share of val queries about documents with training queries."""
_TOP_1 = Measure("precision", 1)
_REPORTED = Measure("ndcg", 10)
_REMEDY = (
    "divide the dataset with embedtune split --by within-document, or give every document several (synthetic) "
    "queries and keep some of them for val"
)


def train_nudge(job: TrainingJob, options: NudgeOptions) -> TunedModel:
    """Moves each document towards the training queries that it answers, as far as val allows.

    Zeighami, Wellmer and Parameswaran 2024 (https://arxiv.org/abs/2409.02343). The folder holds
    the model as it was and beside it every document's vector, as Parquet and as a FAISS index.
    """
    if has_moved_documents(job.encoder):
        raise EncoderError(
            f"{job.encoder} already holds moved documents", remedy="name the model that it was made from"
        )
    measure = _measure(options)
    vectors = JobVectors.encode(job, options.val_split)
    covered = _covered(vectors)
    coverage = f"{len(covered)} of {len(vectors.val_ids)} val queries ({len(covered) / len(vectors.val_ids):.0%}) are "
    coverage += "about documents that have training queries"
    if len(covered) < FEWEST_COVERED * len(vectors.val_ids) and not options.allow_low_coverage:
        raise DataError(
            f"{coverage}; moving the other documents can only hurt val, so gamma would come out as 0 and nothing "
            "would change",
            where=f"queries_split[{options.val_split!r}]",
            remedy=f"{_REMEDY}; --allow-low-coverage goes on nevertheless",
        )
    outcome = _move(vectors, options, measure)
    checkpoints = [Checkpoint(0, outcome.before.mean(str(measure)), None)]
    if outcome.gamma:
        checkpoints.append(Checkpoint(1, outcome.after.mean(str(measure)), None))
    record = job.record("nudge", options, str(measure), checkpoints) | {
        "gamma": outcome.gamma,
        "moved_documents": int(outcome.moved.sum()),
        "covered_share": len(covered) / len(vectors.val_ids),
        "encoded": dict(vectors.encoded),
        "words": [f"{coverage}", *_words(outcome, covered, options)],
    }
    model = load_model(job.encoder, job.encoder_options)
    apply_options(model, job.encoder_options)
    corpus = job.training_set.dataset.corpus
    return TunedModel.save(
        model,
        job.folder,
        record,
        overwrite=job.overwrite,
        beside=lambda folder: write_document_vectors(folder, corpus, outcome.documents, outcome.moved),
    )


class _Outcome(NamedTuple):
    """All documents' vectors after the moves, which ones moved, and the val scores before and after."""

    gamma: float
    documents: Vectors
    moved: npt.NDArray[np.bool_]
    before: Scores
    after: Scores


def _measure(options: NudgeOptions) -> Measure:
    measure = Measure.parse(options.val_measure)
    if options.variant == "m" and measure != _TOP_1:
        raise OptionsError(
            f"variant m chooses gamma exactly by {_TOP_1}, found {measure}",
            remedy="leave --val-measure out, or take --variant n",
        )
    return measure


def _covered(vectors: JobVectors) -> set[str]:
    """Returns the val queries that have a relevant document with training queries."""
    trained = {example.positive_id for example in vectors.job.training_set.examples}
    return queries_about(vectors.job.training_set.dataset, vectors.val_ids, trained)


def _move(vectors: JobVectors, options: NudgeOptions, measure: Measure) -> _Outcome:
    """Moves the documents and scores both states; a gamma that didn't help counts as 0."""
    dataset = vectors.job.training_set.dataset
    row_of = vectors.document_row
    examples = vectors.job.training_set.examples
    train_pairs = [(vectors.train_row[example.query_id], row_of[example.positive_id]) for example in examples]
    asked = enumerate(vectors.val_ids)
    val_pairs = [(row, row_of[document]) for row, query_id in asked for document in dataset.positives(query_id)]
    train, val = Judged.of(vectors.train, train_pairs), Judged.of(vectors.val, val_pairs)
    if options.variant == "m":
        moves = nudge_m(vectors.documents, train, val)
    elif measure == _TOP_1:
        moves = nudge_n(vectors.documents, train, val)
    else:
        moves = nudge_n(
            vectors.documents, train, val, top_k=measure.cutoff, score_top=lambda *top: _mean(vectors, measure, *top)
        )
    before = _score(vectors, vectors.documents, measure)
    documents, moved = vectors.documents, np.zeros(len(vectors.documents), dtype=np.bool_)
    if moves.gamma:
        documents = documents.copy()
        documents[moves.rows] = moves.vectors
        moved[moves.rows] = True
        after = _score(vectors, documents, measure)
        if after.mean(str(measure)) > before.mean(str(measure)):
            return _Outcome(moves.gamma, documents, moved, before, after)
    return _Outcome(0.0, vectors.documents, np.zeros_like(moved), before, before)


def _score(vectors: JobVectors, documents: Vectors, measure: Measure) -> Scores:
    index = VectorIndex(documents, list(vectors.job.training_set.dataset.corpus))
    return vectors.score_val(index, vectors.val, [measure, _REPORTED])


def _mean(vectors: JobVectors, measure: Measure, rows: Rows, scores: Vectors) -> float:
    """Returns the mean of a measure over the val queries for their best documents' rows and scores."""
    ids = list(vectors.job.training_set.dataset.corpus)
    rankings = [
        rank({ids[row]: float(score) for row, score in zip(found, values, strict=True) if row >= 0})
        for found, values in zip(rows.tolist(), scores.tolist(), strict=True)
    ]
    return vectors.score_rankings(rankings, [measure]).mean(str(measure))


def _words(outcome: _Outcome, covered: Collection[str], options: NudgeOptions) -> list[str]:
    """Returns what happened and why, a sentence a line."""
    if not outcome.gamma:
        return [
            f"gamma is 0, no document moved: {_why_nothing(len(covered), len(outcome.before.query_ids))}",
            f"to gain by NUDGE, {_REMEDY}",
        ]
    lines = [f"gamma {outcome.gamma:.4g}: {int(outcome.moved.sum())} of {len(outcome.moved)} documents moved"]
    old, new = (means_apart(scores, covered) for scores in (outcome.before, outcome.after))
    for name, group in old.items():
        if group["queries"]:
            before, after = (means[name]["means"][str(_REPORTED)] for means in (old, new))
            lines.append(f"val {_REPORTED}, {name}: {group['queries']} queries, {before:.4f} before, {after:.4f} after")
    if options.variant == "m":
        lines.append("the vectors are no longer of unit length: rank them by inner product, never by cosine")
    return lines


def _why_nothing(covered: int, queries: int) -> str:
    if not covered:
        return (
            "a document moves only if it has training queries, and no val query is about such a document, so "
            "moving them could only hurt val; 0 is the right answer"
        )
    if covered < queries / 2:
        return "too few val queries are about documents with training queries, and no move helped more than it hurt"
    return "no move helped more val queries than it hurt"
