from __future__ import annotations

from dataclasses import replace

import pytest
from tests.cli.test_gate import part_of

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.replay import ReplayOptions, with_guards_kept, with_replay
from embedtune.data.training_set import TrainingSet
from embedtune.errors import DataError

HALF = ReplayOptions(replay_share=0.5)
OWN = 9


@pytest.fixture
def english():
    return part_of("en")


@pytest.fixture
def chinese():
    return part_of("zh")


def texts(mixed, examples):
    return [(mixed.dataset.queries[e.query_id], mixed.dataset.corpus[e.positive_id]) for e in examples]


@pytest.mark.parametrize(("share", "expected"), [(0.5, 9), (0.25, 3), (0.15, 2), (0.01, 1)])
def test_the_share_is_of_what_is_trained_on(english, chinese, share, expected):
    training_set = TrainingSet.build(english, "train")
    mixed = with_replay(training_set, chinese, ReplayOptions(replay_share=share))
    added = mixed.examples[len(training_set.examples) :]
    assert len(training_set.examples) == OWN
    assert len(added) == expected
    assert mixed.examples[:OWN] == training_set.examples
    pairs = {(chinese.queries[q], chinese.corpus[d]) for q in chinese.queries for d in chinese.positives(q)}
    assert set(texts(mixed, added)) <= pairs


def test_val_and_splits_stay_as_they_were(english, chinese):
    mixed = with_replay(TrainingSet.build(english, "train"), chinese, HALF)
    assert mixed.val_dataset is english
    assert mixed.dataset.queries_split == english.queries_split
    assert TrainingSet.build(english, "train").val_dataset is english


def test_equal_ids_of_two_datasets_are_kept_apart_and_equal_texts_are_no_negatives(english):
    corpus = dict(zip(english.corpus, reversed(english.corpus.values()), strict=True))
    name_of = {text: name for name, text in corpus.items()}
    relevant = {q: [name_of[english.corpus[d]] for d in english.positives(q)] for q in english.queries}
    turned = replace(english, corpus=corpus, relevant_docs=relevant)
    mixed = with_replay(TrainingSet.build(english, "train"), turned, HALF)
    assert len(mixed.dataset.corpus) == 2 * len(english.corpus)
    assert sorted(texts(mixed, mixed.examples[:OWN])) == sorted(texts(mixed, mixed.examples[OWN:]))
    for example in mixed.examples:
        same = [d for d, text in mixed.dataset.corpus.items() if text == mixed.dataset.corpus[example.positive_id]]
        assert set(same) <= mixed.conflicts[example.query_id]


def test_only_the_train_split_is_replayed(english, chinese):
    first, *others = chinese.queries
    divided = replace(chinese, queries_split={"train": [first], "test": others})
    mixed = with_replay(TrainingSet.build(english, "train"), divided, HALF)
    assert [e.query_id for e in mixed.examples[OWN:]] == [f"replay:{first}"]


def test_negatives_and_scores_come_along(english, chinese):
    query, *_ = chinese.queries
    other = next(d for d in chinese.corpus if d not in chinese.positives(query))
    scored = replace(chinese, negative_docs={query: [other]}, extra={"teacher_scores": {query: {other: 0.25}}})
    mixed = with_replay(TrainingSet.build(english, "train"), scored, HALF, negatives=1)
    (example,) = [e for e in mixed.examples if e.negative_ids]
    assert mixed.dataset.corpus[example.negative_ids[0]] == chinese.corpus[other]
    assert mixed.teacher_scores(example.query_id) == {example.negative_ids[0]: 0.25}


def test_documents_without_queries_are_kept_as_they_are(english, chinese):
    silent = RetrievalDataset(queries={}, corpus={**chinese.corpus, "empty": "  "}, relevant_docs={})
    training_set = TrainingSet.build(english, "train")
    mixed = with_replay(training_set, silent, ReplayOptions(replay_share=0.2))
    assert mixed.examples == training_set.examples
    assert mixed.dataset is english
    assert mixed.replayed is not None
    assert list(mixed.replayed.documents) == list(chinese.corpus.values())
    assert mixed.replayed.per_document == pytest.approx(0.25)
    with pytest.raises(DataError, match="neither judged queries nor documents"):
        with_replay(training_set, RetrievalDataset({}, {}, {}), HALF)


def test_texts_of_the_guards_are_held_but_no_query_that_is_asked(english, chinese):
    first, second, *others = chinese.queries
    copied = next(iter(english.corpus.values()))
    splits = {"train": [first, second], "val": [second], "test": others}
    guard = replace(chinese, corpus={**chinese.corpus, "copy": copied, "empty": " "}, queries_split=splits)
    held = with_guards_kept(TrainingSet.build(english, "train"), {"zh": guard}, ReplayOptions(guard_share=0.2))
    assert held.examples == TrainingSet.build(english, "train").examples
    assert held.val_dataset is english
    assert held.replayed is not None
    assert sorted(held.replayed.documents) == sorted(chinese.corpus.values()), "neither what is learnt nor nothing"
    assert list(held.replayed.queries) == [chinese.queries[first]], "the second one chooses, the others are measured"
    assert held.replayed.per_document == pytest.approx(0.25)


def test_large_guards_are_sampled_by_the_seed(english, monkeypatch):
    monkeypatch.setattr("embedtune.data.replay._FEWEST_KEPT", 5)
    guard = RetrievalDataset({}, {str(number): f"第{number}页" for number in range(40)}, {})
    training_set = TrainingSet.build(english, "train")

    def drawn(share, seed=42):
        held = with_guards_kept(training_set, {"zh": guard}, ReplayOptions(guard_share=share), seed=seed)
        return list(held.replayed.documents)

    assert len(drawn(0.5)) == len(training_set.examples)
    assert len(drawn(0.1)) == 5
    assert drawn(0.5) == drawn(0.5)
    assert drawn(0.5) != drawn(0.5, seed=7)


def test_where_nothing_can_be_held_all_stays_as_it_was(english, chinese):
    training_set = TrainingSet.build(english, "train")
    silent = RetrievalDataset(queries={}, corpus=chinese.corpus, relevant_docs={})
    replayed = with_replay(training_set, silent, HALF)
    assert with_guards_kept(training_set, {"zh": chinese}, ReplayOptions(guard_share=0)) is training_set
    assert with_guards_kept(training_set, {"same": english}, ReplayOptions()) is training_set
    assert with_guards_kept(replayed, {"zh": chinese}, ReplayOptions()) is replayed, "--replay goes first"
