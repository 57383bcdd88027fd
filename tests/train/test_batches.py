from __future__ import annotations

import random

import pytest
import torch

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.training_set import TrainingSet
from embedtune.train.batches import PlannedSampler, conflict_free_batches, plan_batches, shuffled_batches
from embedtune.train.targets import documents_of, targets_of


@pytest.fixture
def tangled():
    """Two hundred queries over sixty documents, with repeated texts and several positives."""
    generator = random.Random(0)
    corpus = {f"d{i}": f"text {i % 50}" for i in range(60)}
    queries = {f"q{i}": f"question {i % 150}" for i in range(200)}
    relevant = {query: generator.sample(list(corpus), generator.randint(1, 3)) for query in queries}
    dataset = RetrievalDataset(queries, corpus, relevant, queries_split={"train": list(queries)})
    negatives = {query: generator.sample(list(corpus), 10) for query in queries}
    return TrainingSet.build(dataset, "train", negatives, negatives_per_query=2)


@pytest.mark.parametrize("batch_size", [2, 8, 32])
def test_nothing_relevant_and_no_duplicate_in_a_batch(tangled, batch_size):
    batches = conflict_free_batches(tangled, batch_size, seed=1)
    corpus, queries = tangled.dataset.corpus, tangled.dataset.queries
    for batch in batches:
        examples = [tangled.examples[position] for position in batch]
        assert len({queries[example.query_id] for example in examples}) == len(examples)
        assert len({corpus[example.positive_id] for example in examples}) == len(examples)
        for example in examples:
            others = {other.positive_id for other in examples if other is not example}
            assert not others & tangled.conflicts[example.query_id]
    seen = sorted(position for batch in batches for position in batch)
    assert seen == list(range(len(tangled.examples)))


def test_batches_are_full_where_nothing_conflicts():
    ids = [str(i) for i in range(70)]
    dataset = RetrievalDataset({i: f"q{i}" for i in ids}, {i: f"d{i}" for i in ids}, {i: [i] for i in ids})
    batches = conflict_free_batches(TrainingSet.build(dataset, "all"), 32, seed=0)
    assert [len(batch) for batch in batches] == [32, 32, 6]


def test_seeded(tangled):
    assert conflict_free_batches(tangled, 8, seed=1) == conflict_free_batches(tangled, 8, seed=1)
    assert conflict_free_batches(tangled, 8, seed=1) != conflict_free_batches(tangled, 8, seed=2)


def test_a_lonely_example_without_negatives_is_dropped():
    dataset = RetrievalDataset({"q": "a"}, {"d": "x"}, {"q": ["d"]})
    assert conflict_free_batches(TrainingSet.build(dataset, "all"), 4, seed=0) == []


def test_the_plan_has_all_epochs_and_may_begin_later(tangled):
    plan = plan_batches(tangled, 32, epochs=2, seed=3)
    assert plan == [*conflict_free_batches(tangled, 32, seed=3), *conflict_free_batches(tangled, 32, seed=4)]
    assert list(PlannedSampler(plan, start=2)) == plan[2:]
    assert len(PlannedSampler(plan, start=2)) == len(plan) - 2


def test_scored_pairs_need_no_care(tangled):
    batches = shuffled_batches(tangled, 32, seed=0)
    assert sorted(position for batch in batches for position in batch) == list(range(len(tangled.examples)))
    assert all(len(batch) == 32 for batch in batches[:-1])


def test_targets_mark_positives_negatives_and_what_is_left_out():
    dataset = RetrievalDataset(
        queries={"a": "one", "b": "two"},
        corpus={"pa": "first", "pb": "second", "shared": "third", "also a": "fourth"},
        relevant_docs={"a": ["pa", "also a"], "b": ["pb"]},
        queries_split={"train": ["a", "b"]},
    )
    made = TrainingSet.build(dataset, "train", {"a": ["shared"], "b": ["shared", "also a"]}, 2)
    examples = [made.examples[0], made.examples[2]]
    documents = documents_of(examples)
    assert documents == ["pa", "pb", "shared", "also a"]
    targets = targets_of(made, examples, documents, {"a": {"pa": 3.0, "shared": 1.0, "pb": 9.0}})
    assert targets.labels.tolist() == [[1, 0, 0, -1], [0, 1, 0, 0]]
    assert targets.own.tolist() == [[True, False, True, False], [False, True, True, True]]
    assert torch.nan_to_num(targets.scores, -1.0).tolist() == [[3.0, -1, 1.0, -1], [-1, -1, -1, -1]]
