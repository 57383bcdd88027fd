"""The case study's recipe on tiny data in the layout of its Hub datasets, fetched from a Hub on loopback."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from tests.data.converters.layouts import save, save_lines
from tests.data.hub_server import Hub

from embedtune.data.dataset import RetrievalDataset
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import load_encoder
from embedtune.search.dense import DenseRetriever

RECIPE = Path(__file__).parents[2] / "recipes" / "case_study.py"
ENDINGS = ("", "，怎么办", " ?", " 请问", "，谢谢")
QRELS_README = (
    "---\nconfigs:\n- config_name: AIR-Bench_24.05\n  data_files:\n  - split: qrels_default_dev\n"
    "    path: AIR-Bench_24.05/default/qrels_dev.jsonl\n---\n"
)


def write_collections(folder, sample):
    """Writes both datasets, infgrad and task: 24 documents and 120 queries, of which infgrad gives one to val."""
    documents = list(sample.corpus.values())
    asked = [(text + ending, sample.positives(q)[0]) for q, text in sample.queries.items() for ending in ENDINGS]
    rows = [
        {"Query": text, "Positive Document": sample.corpus[d], "Hard Negative Document": documents[number % 24]}
        for number, (text, d) in enumerate(asked, 1)
    ]
    save_lines(folder / "infgrad" / "data.jsonl", rows)
    task, qrels = folder / "task" / "AIR-Bench_24.05" / "default", folder / "qrels-task-dev"
    save_lines(task / "corpus.jsonl", ({"id": d, "text": text} for d, text in sample.corpus.items()))
    save_lines(task / "dev_queries.jsonl", ({"id": q, "text": text} for q, text in sample.queries.items()))
    save(qrels / "README.md", QRELS_README)
    judged = ({"qid": q, "docid": sample.positives(q)[0], "relevance": 1} for q in sample.queries)
    save_lines(qrels / "AIR-Bench_24.05" / "default" / "qrels_dev.jsonl", judged)


@pytest.fixture
def hub(tmp_path, sample):
    write_collections(tmp_path, sample)
    return Hub(
        {
            "infgrad/retrieval_data_llm": tmp_path / "infgrad",
            "AIR-Bench/qa_healthcare_zh": tmp_path / "task",
            "AIR-Bench/qrels-qa_healthcare_zh-dev": tmp_path / "qrels-task-dev",
        }
    )


def run_recipe(url, folder, *words):
    settings = {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "hf")}
    return subprocess.run(
        [sys.executable, str(RECIPE), str(folder / "work"), *words],
        env={**os.environ, **settings, "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.slow
def test_both_runs_from_the_hub_and_again_without_it(hub, tmp_path, sample, tiny_model):
    synthetic = tmp_path / "synthetic.json"
    train = {f"s-{number}": text + "吗" for number, text in enumerate(sample.queries.values())}
    relevant = {f"s-{number}": [sample.positives(q)[0]] for number, q in enumerate(sample.queries)}
    RetrievalDataset(train, sample.corpus, relevant, queries_split={"train": list(train)}).write(synthetic)
    with hub.running():
        first = run_recipe(hub.url, tmp_path, "--encoder", str(tiny_model))
    assert first.returncode == 0, first.stderr
    printed = json.loads(first.stdout)
    assert list(printed["measured"]) == ["base", "first run"]
    assert "first: trained on 119 examples" in first.stderr
    assert "the second run is left out" in first.stderr
    words = ["--encoder", str(tiny_model), "--synthetic", str(synthetic)]
    both = run_recipe("http://127.0.0.1:9", tmp_path, *words)  # the server is gone
    assert both.returncode == 0, both.stderr
    again = json.loads(both.stdout)
    assert again["measured"]["first run"] == printed["measured"]["first run"]
    assert again["published"] == {
        "base": {"infgrad": 0.67399, "airbench": 0.32522},
        "first run": {"infgrad": 0.73301, "airbench": 0.30451},
        "second run": {"infgrad": 0.64245, "airbench": 0.26363},
    }
    for scores in again["measured"].values():
        assert all(0 < score <= 1 for score in scores.values())
    assert "second: trained on 24 examples" in both.stderr
    assert "first: trained" not in both.stderr


def test_a_collection_that_cannot_be_fetched_is_told(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(RECIPE.parent)
    monkeypatch.setattr(sys, "argv", ["case_study", str(tmp_path / "work")])
    with pytest.raises(SystemExit, match=r"case_study: .*isn't wholly in the local Hub cache"):
        runpy.run_path(str(RECIPE), run_name="__main__")


def test_negatives_are_drawn_beyond_rank_fifty_as_published(tmp_path, monkeypatch, tiny_model):
    monkeypatch.syspath_prepend(RECIPE.parent)
    from case_study_training import mine_as_published

    corpus = {f"d{number}": f"水壶里的水垢第{number}种" for number in range(120)}
    queries = {"q1": "怎样除去水垢", "q2": "面包为什么会发霉"}
    dataset = RetrievalDataset(queries, corpus, {}, queries_split={"train": list(queries)})
    encoder, cache = load_encoder(str(tiny_model)), EmbeddingCache(None)
    ranked = DenseRetriever(encoder, corpus, cache).retrieve(queries, 100)
    mined = mine_as_published(dataset, list(queries), encoder, cache, 42)
    for query_id in queries:
        assert len(set(mined[query_id])) == 15
        assert set(mined[query_id]) < set(ranked.document_ids(query_id)[50:100])
    assert mined == mine_as_published(dataset, list(queries), encoder, cache, 42)
    assert mined != mine_as_published(dataset, list(queries), encoder, cache, 43)
