"""Which documents are asked about, how far they are read, and what they are asked for."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from embedtune.errors import OptionsError
from embedtune.synthesize.coverage import nearest_to_centres
from embedtune.synthesize.cutting import cut_documents
from embedtune.synthesize.examples import choose_examples
from embedtune.synthesize.kinds import deal_kinds, parse_kinds
from embedtune.synthesize.sampling import sample_documents


def all_of(examples):
    return [text for texts in examples.values() for text in texts]


KNOWN = {"question": 3.0, "keyword": 1.0, "exam": 0.0}


def test_kinds_are_read_with_weights():
    assert parse_kinds(None, KNOWN) == {"question": 3.0, "keyword": 1.0}
    assert parse_kinds("exam", KNOWN) == {"exam": 1.0}
    assert parse_kinds("question=0.5， keyword", KNOWN) == {"question": 0.5, "keyword": 1.0}
    for text, message in (("exm", "did you mean 'exam'"), ("exam=x", "expected a number"), ("exam=0", "one above 0")):
        with pytest.raises(OptionsError, match=message):
            parse_kinds(text, KNOWN)


def test_a_document_gets_different_kinds_and_all_documents_the_mix():
    weights = {"a": 3.0, "b": 1.0, "c": 0.0}
    assert deal_kinds(weights, 2, random.Random(1)) == {"a": 1, "b": 1}
    assert deal_kinds({"a": 1.0}, 10, random.Random(1)) == {"a": 10}
    one_each = Counter(kind for seed in range(2000) for kind in deal_kinds(weights, 1, random.Random(seed)))
    assert one_each["a"] / 2000 == pytest.approx(0.75, abs=0.03)
    assert "c" not in one_each


def test_rows_come_from_every_cluster():
    noise = np.random.default_rng(3)
    centres = np.eye(5, 8, dtype=np.float32)
    sizes = [50, 20, 5, 3, 2]
    vectors = np.concatenate(
        [centre + 0.01 * noise.standard_normal((size, 8)) for centre, size in zip(centres, sizes, strict=True)]
    ).astype(np.float32)
    cluster_of = np.repeat(np.arange(5), sizes)
    rows = nearest_to_centres(vectors, 5, seed=1)
    assert sorted(cluster_of[rows].tolist()) == [0, 1, 2, 3, 4]
    assert rows == nearest_to_centres(vectors, 5, seed=1)
    same = np.ones((6, 8), dtype=np.float32)
    assert len(set(nearest_to_centres(same, 4, seed=1))) == 4


def test_a_growing_corpus_keeps_most_of_its_sample(sample):
    first = sample_documents(sample.corpus, 10, 42)
    assert len(first.document_ids) == 10
    assert first.document_ids == [name for name in sample.corpus if name in set(first.document_ids)]
    grown = dict(sample.corpus) | {f"new-{n}": f"Fact number {n} about copper and lemon juice." for n in range(4)}
    second = sample_documents(grown, 10, 42)
    assert len(set(first.document_ids) & set(second.document_ids)) >= 7
    assert sample_documents(sample.corpus, 10, 43).document_ids != first.document_ids


def test_clusters_follow_the_encoder(sample, tiny_encoder):
    chosen = sample_documents(sample.corpus, 6, 42, tiny_encoder)
    assert (len(set(chosen.document_ids)), chosen.clusters) == (6, 6)
    assert chosen == sample_documents(sample.corpus, 6, 42, tiny_encoder)
    assert sample_documents(sample.corpus, 1000, 42, tiny_encoder).document_ids == list(sample.corpus)


def test_documents_are_cut_where_the_encoder_stops(tiny_model, tiny_encoder):
    english = "Wax hardens when it is cold. " * 40
    chinese = "蜡遇冷会变硬，这时容易刮掉。" * 40
    cut = cut_documents({"en": english, "zh": chinese, "short": "Wax."}, 2000, tiny_encoder)
    assert cut.by_encoder
    assert cut.limit == 126
    assert cut.shortened == ["en", "zh"]
    assert cut.texts["short"] == "Wax."
    for name, whole, end in (("en", english, "."), ("zh", chinese, "。")):
        assert whole.startswith(cut.texts[name])
        assert cut.texts[name].rstrip().endswith(end)
        lengths = tiny_encoder.count_tokens([cut.texts[name], whole[: len(cut.texts[name]) + 30]])
        assert lengths[0] <= 128 < lengths[1]
    plain = cut_documents({"en": english}, 50)
    assert (plain.by_encoder, plain.limit, plain.shortened) == (False, 50, ["en"])


def test_examples_differ_and_come_in_each_language(sample):
    chosen = choose_examples(sample, "train", 3, seed=42)
    assert [len(chosen[language]) for language in ("en", "zh")] == [3, 3]
    assert all(any(character >= "\u4e00" for character in text) for text in chosen["zh"])
    assert chosen == choose_examples(sample, "train", 3, seed=42)
    train = [sample.queries[query_id] for query_id in sample.queries_split["train"]]
    assert sorted(all_of(choose_examples(sample, "train", 100, seed=42))) == sorted(train)


def test_a_training_query_that_is_also_held_out_is_no_example(sample):
    leaked = sample.queries_split["test"][0]
    near = sample.queries[leaked].rstrip("?？") + " ?"
    splits = {**sample.queries_split, "train": [*sample.queries_split["train"], "copy"]}
    dataset = replace(sample, queries={**sample.queries, "copy": near}, queries_split=splits)
    assert near not in all_of(choose_examples(dataset, "train", 100, seed=42))
