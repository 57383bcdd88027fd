from __future__ import annotations

from dataclasses import replace

from embedtune.data.checks import check_dataset


def codes(dataset):
    return {finding.code: finding for finding in check_dataset(dataset)}


def test_clean_sample_has_only_a_true_note(sample):
    found = codes(sample)
    assert set(found) == {"documents-shared-by-splits"} or not found


def test_planted_faults_are_found_with_their_ids(sample):
    planted = replace(
        sample,
        queries={**sample.queries, "copy": sample.queries["q04"].upper(), "lost": "nobody answers this"},
        corpus={**sample.corpus, "twin": sample.corpus["en-tea"]},
        negative_docs={"q11": ["en-tea"]},
        queries_split={**sample.queries_split, "train": [*sample.queries_split["train"], "copy", "q05"]},
    )
    found = codes(planted)
    assert found["leaked-queries"].ids == ("q04", "copy")
    assert found["query-in-two-splits"].ids == ("q05",)
    assert found["negative-is-positive"].ids == ("q11",)
    assert found["repeated-documents"].ids == ("en-tea", "twin")
    assert set(found["queries-without-documents"].ids) == {"copy", "lost"}
    levels = [finding.level for finding in check_dataset(planted)]
    assert levels == sorted(levels, key=["error", "warning", "note"].index)
