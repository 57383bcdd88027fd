"""The examples that a loss can learn from, and the scores that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from embedtune import progress
from embedtune.data.near_duplicates import same_or_near
from embedtune.data.training_set import TrainingExample, TrainingSet
from embedtune.errors import DataError
from embedtune.train.losses import LOSSES
from embedtune.train.targets import Scores

__all__ = ["examples_for", "scores_for", "with_near_duplicates"]

_SCORED = (
    "give scored pairs: embedtune import sentence-transformers reads files with the columns sentence1, sentence2, "
    "score, embedtune import flagembedding pos_scores and neg_scores, embedtune import pairs --grade-column; "
    "or train on what is relevant with --loss infonce"
)
_TAUGHT = (
    "let a cross-encoder score them: embedtune mine D --encoder E --rerank MODEL --out mined.json keeps its scores; "
    "or import a file that has pos_scores and neg_scores; or train without a teacher with --loss infonce"
)


def examples_for(loss: str, training_set: TrainingSet) -> TrainingSet:
    """Returns the training set as a loss needs it; raises DataError where its data is missing.

    For scored pairs each scored document is an example of its own. For a teacher's scores examples
    without enough of them are left out, and that is said.
    """
    needs = LOSSES.load(loss).NEEDS
    if needs == "scored_pairs":
        pairs = training_set.scored_pairs()
        scores = {pairs.pair_scores(e.query_id)[e.positive_id] for e in pairs.examples}
        if len(scores) < 2:
            found = "has no scores" if not scores else f"has the same score, {scores.pop()}, for every pair"
            raise DataError(f"the loss {loss} learns from scores, and the dataset {found}", remedy=_SCORED)
        return pairs
    near = with_near_duplicates(training_set)
    return _taught(loss, near) if needs == "teacher_scores" else near


def scores_for(loss: str, training_set: TrainingSet) -> Scores:
    """Returns query id → document id → score for the queries of a training set; empty where the loss needs none."""
    needs = LOSSES.load(loss).NEEDS
    queries = dict.fromkeys(example.query_id for example in training_set.examples)
    if needs == "scored_pairs":
        return {query_id: training_set.pair_scores(query_id) for query_id in queries}
    if needs == "teacher_scores":
        return {query_id: training_set.teacher_scores(query_id) for query_id in queries}
    return {}


def _taught(loss: str, training_set: TrainingSet) -> TrainingSet:
    """Returns the examples whose positive and at least one negative the teacher has scored."""

    def is_taught(example: TrainingExample) -> bool:
        scores: Mapping[str, Any] = training_set.teacher_scores(example.query_id)
        return example.positive_id in scores and any(d in scores for d in example.negative_ids)

    kept = [example for example in training_set.examples if is_taught(example)]
    if not kept:
        raise DataError(
            f"the loss {loss} learns a teacher's scores, and no query has them for a relevant document and a hard "
            "negative",
            remedy=_TAUGHT,
        )
    if len(kept) < len(training_set.examples):
        missing = len(training_set.examples) - len(kept)
        progress.say(f"left out: {missing} of {len(training_set.examples)} examples that the teacher didn't score")
    return replace(training_set, examples=kept)


def with_near_duplicates(training_set: TrainingSet) -> TrainingSet:
    """Returns the training set with near-duplicates of a query's relevant documents among its conflicts.

    Looked for among the documents that training sees, and those relevant to its queries.
    """
    dataset = training_set.dataset
    seen = dict.fromkeys(d for e in training_set.examples for d in (e.positive_id, *e.negative_ids))
    for example in training_set.examples:
        seen.update(dict.fromkeys(sorted(training_set.conflicts.get(example.query_id, ()))))
    group_of: dict[str, frozenset[str]] = {}
    for group in same_or_near(dataset.corpus, list(seen), "long"):
        group_of.update(dict.fromkeys(group, frozenset(group)))
    if not group_of:
        return training_set
    conflicts = {
        query_id: documents.union(*(group_of[d] for d in documents if d in group_of))
        for query_id, documents in training_set.conflicts.items()
    }
    return replace(training_set, conflicts=conflicts)
