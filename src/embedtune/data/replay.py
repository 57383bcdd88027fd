"""Mixes another domain into a training set, so that it isn't forgotten: its pairs, or its texts alone."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from embedtune import progress
from embedtune.data.dataset import ALL_QUERIES, RetrievalDataset
from embedtune.data.training_set import ReplayedTexts, TrainingExample, TrainingSet, known_relevant
from embedtune.errors import DataError
from embedtune.options import Options

__all__ = ["ReplayOptions", "with_guards_kept", "with_replay"]

_PREFIX = "replay:"
_SCORES = ("teacher_scores", "scores")
_TRAIN = "train"
_FEWEST_KEPT = 1000
"""Documents of guards from which batches draw, also where an epoch would need fewer."""


class ReplayOptions(Options):
    """How much of another domain is mixed in."""

    HEADING: ClassVar[str] = "Guards and the gate"

    replay_share: float = Field(
        default=0.15, gt=0, lt=1, description="Share of --replay in what is trained on: of examples, or of documents."
    )
    guard_share: float = Field(
        default=0.3,
        ge=0,
        lt=1,
        description="Share of the guards' documents in each batch, and as many of their train queries: the vectors of "
        "both are held to the base model's, so that less is forgotten. 0: none.",
    )


def with_replay(
    training_set: TrainingSet, replay: RetrievalDataset, options: ReplayOptions, *, negatives: int = 0, seed: int = 42
) -> TrainingSet:
    """Returns the training set with a share of another dataset's pairs among its examples.

    They come from its train split, or from all of its queries where it has none; fewer than the
    share asks for are all taken, and that is said. A dataset without judged queries gives its
    documents instead: their vectors are held to the base model's (train/kept_vectors.py). Val stays as
    it was, without the other dataset's documents. Raises DataError for a dataset without documents.
    """
    split = _TRAIN if replay.queries_split.get(_TRAIN) else ALL_QUERIES
    if any(replay.positives(query_id) for query_id in replay.queries):
        pairs = TrainingSet.build(replay, split, replay.negative_docs, negatives)
        return _with_pairs(training_set, pairs, options, seed)
    documents = [text for text in replay.corpus.values() if text.strip()]
    if not documents:
        raise DataError("the dataset to replay has neither judged queries nor documents", where="--replay")
    per_document = options.replay_share / (1 - options.replay_share)
    progress.say(f"replay: no judged queries, so {len(documents)} documents keep the base model's vectors")
    return replace(training_set, replayed=ReplayedTexts(documents, per_document, seed))


def with_guards_kept(
    training_set: TrainingSet, guards: Mapping[str, RetrievalDataset], options: ReplayOptions, *, seed: int = 42
) -> TrainingSet:
    """Returns the training set with texts of the guards whose vectors are held to the base model's.

    Those are their documents and the queries of their train split, without what the training set
    has itself; judgements aren't used, and no query of another split is. Large corpora are
    sampled. Where --replay holds documents already, they stay the only ones.
    """
    if not options.guard_share or training_set.replayed is not None:
        return training_set
    per_document = options.guard_share / (1 - options.guard_share)
    in_an_epoch = per_document * sum(1 + len(example.negative_ids) for example in training_set.examples)
    own = {hash(text.strip()) for text in training_set.dataset.corpus.values()}
    documents = _some_documents(guards, own, max(_FEWEST_KEPT, round(in_an_epoch)), seed)
    if not documents:
        return training_set
    asked = {guard.queries[i].strip() for guard in guards.values() for i in _not_trained_on(guard)}
    asked.update(text.strip() for text in training_set.val_dataset.queries.values())
    queries = [guard.queries[i] for guard in guards.values() for i in guard.queries_split.get(_TRAIN, ())]
    queries = [text for text in dict.fromkeys(queries) if text.strip() and text.strip() not in asked]
    progress.say(
        f"{len(documents)} documents and {len(queries)} train queries of the guards keep the base model's vectors"
    )
    return replace(training_set, replayed=ReplayedTexts(documents, per_document, seed, queries))


def _some_documents(
    guards: Mapping[str, RetrievalDataset], without: Collection[int], count: int, seed: int
) -> list[str]:
    """Returns distinct texts of the guards' documents, in random order; `without` are the hashes of others."""
    places = [(guard, document_id) for guard in guards.values() for document_id in guard.corpus]
    found: dict[str, None] = {}
    for guard, document_id in random.Random(seed).sample(places, len(places)):
        text = guard.corpus[document_id]
        if text.strip() and hash(text.strip()) not in without:
            found[text] = None
        if len(found) == count:
            break
    return list(found)


def _not_trained_on(guard: RetrievalDataset) -> list[str]:
    """Returns the ids of the queries of every split but train."""
    return [i for split, ids in guard.queries_split.items() if split != _TRAIN for i in ids]


def _with_pairs(training_set: TrainingSet, pairs: TrainingSet, options: ReplayOptions, seed: int) -> TrainingSet:
    share = options.replay_share
    wanted = max(1, round(len(training_set.examples) * share / (1 - share)))
    if wanted > len(pairs.examples):
        total = len(pairs.examples) + len(training_set.examples)
        progress.say(
            f"warning: --replay has {len(pairs.examples)} examples, {share:.0%} would be {wanted}; all are taken, "
            f"which is {len(pairs.examples) / total:.0%}"
        )
    chosen = random.Random(seed).sample(list(pairs.examples), min(wanted, len(pairs.examples)))
    dataset = _joined(training_set.dataset, pairs.dataset)
    progress.say(f"replay: {len(chosen)} examples beside {len(training_set.examples)}")
    return replace(
        training_set,
        dataset=dataset,
        examples=[*training_set.examples, *(_prefixed(example) for example in chosen)],
        conflicts=known_relevant(dataset),
        query_ids=[*training_set.query_ids, *dict.fromkeys(_PREFIX + example.query_id for example in chosen)],
        own=training_set.val_dataset,
    )


def _prefixed(example: TrainingExample) -> TrainingExample:
    negatives = tuple(_PREFIX + document_id for document_id in example.negative_ids)
    return TrainingExample(_PREFIX + example.query_id, _PREFIX + example.positive_id, negatives)


def _joined(own: RetrievalDataset, other: RetrievalDataset) -> RetrievalDataset:
    """Returns both datasets in one, the other's ids with a prefix; splits are those of the first."""
    relevant = {
        _PREFIX + query_id: {_PREFIX + document_id: grade for document_id, grade in judged.items()}
        for query_id, judged in other.qrels(list(other.queries)).items()
    }
    negatives = {_PREFIX + q: [_PREFIX + d for d in documents] for q, documents in other.negative_docs.items()}
    scores = {name: {**_scores(own, name, ""), **_scores(other, name, _PREFIX)} for name in _SCORES}
    return RetrievalDataset(
        queries={**own.queries, **{_PREFIX + i: text for i, text in other.queries.items()}},
        corpus={**own.corpus, **{_PREFIX + i: text for i, text in other.corpus.items()}},
        relevant_docs={**own.relevant_docs, **relevant},
        negative_docs={**own.negative_docs, **negatives},
        queries_split=own.queries_split,
        extra=dict(own.extra) | {name: found for name, found in scores.items() if found},
    )


def _scores(dataset: RetrievalDataset, name: str, prefix: str) -> dict[str, Any]:
    field = dataset.extra.get(name)
    if not isinstance(field, Mapping):
        return {}
    return {
        prefix + query_id: {prefix + document_id: score for document_id, score in scores.items()}
        for query_id, scores in field.items()
        if isinstance(scores, Mapping)
    }
