from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from tests.conftest import SAMPLE
from tests.language.chat_server import Answer, ChatServer

from embedtune.data.dataset import RetrievalDataset
from embedtune.synthesize.filters import FILTERS


@pytest.mark.parametrize("out", ["filtered.json", "folder"])
def test_filters_reports_and_restores(embedtune, tmp_path, out):
    done = embedtune("filter", SAMPLE, "--filters", "duplicates", "--fewest-words", 5, "--out", out)
    assert done.returncode == 0, done.stderr
    kept = RetrievalDataset.read(tmp_path / out)
    assert f"{len(kept.queries_split['train'])} of 12 queries of 'train' are kept" in done.stdout
    assert "too-short" in done.stdout
    assert "wrong-language" in done.stdout
    assert "words, fewest 5" in done.stdout
    back = embedtune("filter", out, "--restore", "--out", "back.json")
    assert back.returncode == 0, back.stderr
    assert RetrievalDataset.read(tmp_path / "back.json").content_hash() == RetrievalDataset.read(SAMPLE).content_hash()


def test_json_names_every_dropped_query(embedtune):
    done = embedtune("filter", SAMPLE, "--out", "filtered.json", "--json")
    content = json.loads(done.stdout)
    assert [step["name"] for step in content["filters"]] == ["duplicates", "round-trip"]
    dropped = {query_id: drop for step in content["filters"] for query_id, drop in step["dropped"].items()}
    assert content["queries"]["kept"] == 12 - len(dropped)
    assert dropped["q01"]["query"] == "how do I remove scale from my kettle"
    assert dropped["q01"]["code"] == "wrong-language"


def test_only_made_queries_are_judged_unless_asked(embedtune, tmp_path):
    sample = RetrievalDataset.read(SAMPLE)
    replace(sample, extra={"synthesis": {"queries": {"q01": {"kind": "title"}}}}).write(tmp_path / "made.json")
    words = ("filter", "made.json", "--overwrite", "--out", "filtered.json")
    assert "0 of 1 queries" in embedtune(*words).stdout
    assert "of 12 queries" in embedtune(*words, "--judged", "all").stdout


def test_every_model_can_be_named(embedtune, tiny_model, tiny_reranker, tmp_path):
    with ChatServer(lambda request, number: Answer('{"grade": 0}')) as server:
        words = ["filter", SAMPLE, "--out", "filtered.json", "--encoder", tiny_model, "--reranker", tiny_reranker]
        words += ["--base-url", server.url, "--model", "judge", "--replies-dir", tmp_path / "replies"]
        words += ["--found-by", "dense", "--round-trip-top-k", 20, "--lowest-score", -99, "--margin", 99]
        for name in ("round-trip", "relabel", "cross-encoder", "llm-judge"):
            words += ["--filters", name]
        done = embedtune(*words)
        assert done.returncode == 0, done.stderr
        assert "llm-judge: dropped 12 of 12" in done.stdout
        assert server.calls == 14  # two queries have two relevant documents
        assert any((tmp_path / "replies").rglob("*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--filters", "round-trp"), "did you mean 'round-trip'?"),
        (("--filters", "cross-encoder"), "--reranker"),
        (("--filters", "llm-judge"), "--model"),
        (("--found-by", "both"), "the filter 'round-trip' needs an encoder"),
        (("--found-by", "botth"), "did you mean 'both'?"),
        (("--split", "trian"), "did you mean 'train'?"),
    ],
)
def test_mistakes_are_explained(embedtune, tmp_path, words, said):
    done = embedtune("filter", SAMPLE, *words, "--out", "filtered.json")
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "filtered.json").exists()


def test_an_existing_out_stays(embedtune, tmp_path):
    (tmp_path / "filtered.json").write_text("mine")
    done = embedtune("filter", SAMPLE, "--out", "filtered.json")
    assert done.returncode == 2
    assert (tmp_path / "filtered.json").read_text() == "mine"


def test_help_has_every_filters_options_and_loads_no_model(embedtune):
    shown = embedtune("filter", "--help").stdout
    for name in FILTERS.names():
        for field in FILTERS.load(name).OPTIONS.model_fields:
            assert f"--{field.replace('_', '-')}" in shown
    program = "import sys, embedtune.cli.main; print([m for m in ('torch', 'faiss', 'openai') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
