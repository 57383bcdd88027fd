from __future__ import annotations

from dataclasses import replace

from embedtune.data.cleaning import clean_dataset


def test_a_clean_dataset_stays_the_same_object(sample):
    cleaned, changes = clean_dataset(sample)
    assert cleaned is sample
    assert changes == []


def test_copies_are_joined_with_their_judgements(sample):
    doubled = replace(
        sample,
        queries={**sample.queries, "q02 again": sample.queries["q02"], "q04 in train": sample.queries["q04"]},
        corpus={**sample.corpus, "bread copy": " " + sample.corpus["en-bread"]},
        relevant_docs={
            **sample.relevant_docs,
            "q02": {"en-bread": 1, "zh-bread": 0},
            "q02 again": ["bread copy", "zh-bread"],
            "q04 in train": ["en-bees"],
        },
        negative_docs={"q02": ["zh-bread", "en-tea"], "q02 again": ["en-bike"]},
        reference_answers={"q02 again": "within six hours"},
        queries_split={**sample.queries_split, "train": [*sample.queries_split["train"], "q02 again", "q04 in train"]},
    )
    cleaned, changes = clean_dataset(doubled)
    assert list(cleaned.corpus) == list(sample.corpus)
    assert list(cleaned.queries) == list(sample.queries)
    assert cleaned.relevant_docs["q02"] == {"en-bread": 1, "zh-bread": 1}
    assert cleaned.negative_docs["q02"] == ["en-tea", "en-bike"]
    assert cleaned.reference_answers["q02"] == "within six hours"
    assert cleaned.relevant_docs["q04"] == {"en-tides": 2, "zh-tides": 1, "en-bees": 1}
    assert cleaned.queries_split == sample.queries_split
    assert {change.code for change in changes} == {
        "repeated-documents", "repeated-queries", "leaked-queries", "negative-is-positive"
    }  # fmt: skip
