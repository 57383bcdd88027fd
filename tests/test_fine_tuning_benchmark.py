"""What the fine-tuning benchmark makes of its data and of its figures; training is tested elsewhere."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from embedtune.data.faults import find_faults

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.syspath_prepend(BENCHMARKS.parent / "recipes")
    return lambda name: importlib.import_module(name)


def test_a_cut_collection_keeps_every_relevant_document_and_all_test_queries(benchmark, sample):
    fine_tuning = benchmark("fine_tuning")
    train_queries = len(sample.queries_split["train"])
    small = fine_tuning.cut(sample, train_queries, 1)
    assert list(find_faults(small.to_fields())) == []
    assert set(small.corpus) == {d for q in small.queries for d in sample.positives(q)}
    assert small.queries_split["test"] == list(sample.queries_split["test"])
    whole = fine_tuning.cut(sample, train_queries, 1000)
    assert list(whole.corpus) == list(sample.corpus)
    assert len(fine_tuning.cut(sample, 3, 1000).queries_split["train"]) == 3


@pytest.mark.parametrize(("language", "letter"), [("en", "the"), ("zh", "的")])
def test_the_general_set_is_asked_in_the_pairs_language(benchmark, language, letter):
    half = benchmark("fine_tuning").general_half(language)
    assert list(find_faults(half.to_fields())) == []
    assert len(half.corpus) == 88
    assert sum(letter in text for text in half.corpus.values()) > 80


def test_a_table_says_what_was_gained_lost_and_refused(benchmark):
    def measured(score, gain):
        return {"ndcg_at_10": score, "mean": gain, "interval": [gain - 0.01, gain + 0.01], "p": 0.0123}

    names = ("a", "b", "general")
    facts = {"seconds": 61.0, "processor_seconds": 100.0, "steps": 9, "gate": {"passed": False, "reasons": ["x"]}}
    row = {"measured": {name: measured(0.5, -0.02) for name in names}, "seeds": {"42": facts}}
    merged = row | {"seeds": {"42": facts | {"weight": 0.4, "gate": {"passed": True, "reasons": []}}}}
    rows = {
        "base": dict.fromkeys(names, 0.52),
        "recipe": row,
        "merged": merged,
        "gain_kept": {"ours": 0.93, "ours, nothing held": None},
    }
    table = benchmark("fine_tuning_table").tables({"a": {"other": "b", "rows": rows}})
    cell = "0.5000, -2.00 (-3.00 … -1.00), 0.0123"
    assert f"| case study's recipe | {cell} | {cell} | {cell} | 61, 100 | step 9/9 | 0 of 1 |" in table
    assert "| 61, 100 | weight 0.4 | 1 of 1 |" in table
    assert "Of the gain merged keeps 93% of ours, the guard's texts held, over" in table


def test_what_merging_keeps_is_counted_over_the_seeds_of_both(benchmark):
    kept_of = benchmark("fine_tuning_table")._kept_of
    rows = {
        "merged": {"gain_by_seed": {"42": 0.02, "43": 0.06}},
        "ours": {"gain_by_seed": {"42": 0.05, "43": 0.05}},
        "ours, nothing held": {"gain_by_seed": {"42": 0.04, "44": 0.5}},
        "lost": {"gain_by_seed": {"42": -0.04}},
    }
    assert kept_of(rows, "ours") == pytest.approx(0.8)
    assert kept_of(rows, "ours, nothing held") == pytest.approx(0.5)
    assert kept_of(rows, "lost") is None
    assert kept_of(rows, "missing") is None
