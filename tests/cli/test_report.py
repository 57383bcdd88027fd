from __future__ import annotations

import json
import re

import pytest
from tests.conftest import SAMPLE, CommandLine
from tests.report.made import Checked
from tests.report.test_page import unpacked


@pytest.fixture(scope="module")
def evaluated(tiny_model, tmp_path_factory):
    """A folder with evaluations of BM25 and of a random encoder on every query of the sample."""
    folder = tmp_path_factory.mktemp("runs")
    words = ("--split", "all", "--cache-dir", folder / "cache", "--out")
    assert CommandLine()("eval", SAMPLE, "--retriever", "bm25", *words, folder / "bm25").returncode == 0
    dense = ("--encoder", tiny_model, "--max-length", "12", *words, folder / "base")
    assert CommandLine()("eval", SAMPLE, *dense).returncode == 0
    return folder


@pytest.fixture
def runs(embedtune, evaluated, tmp_path):
    """Runs commands where both evaluations are."""
    for name in ("bm25", "base"):
        (tmp_path / name).symlink_to(evaluated / name)
    return embedtune


def test_a_page_of_two_runs(runs, tmp_path):
    done = runs("report", SAMPLE, "bm25=bm25", "random=base")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "report.html\n"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    cells = {(system, measure): shown for system, measure, shown in Checked(page).cells}
    for name, folder in (("bm25", "bm25"), ("random", "base")):
        means = json.loads((tmp_path / folder / "scores.json").read_text(encoding="utf-8"))["means"]
        assert cells[name, "ndcg_at_10"] == f"{means['ndcg_at_10']:.4f}"
    assert "Keep bm25: random is worse" in page
    assert "保留 bm25：random 更差" in page
    assert 'id="training"' not in page
    assert 'id="mining"' not in page
    packed = unpacked(page)
    cut = packed["causes"].index("cut")
    assert any(cut in query[5][1] for query in packed["queries"]), "12 tokens cut the sample's documents"
    assert not any(cut in query[5][0] for query in packed["queries"]), "BM25 reads all of a document"


def test_everything_that_earlier_commands_left(runs, tiny_model, tmp_path):
    mined = runs("mine", SAMPLE, "--encoder", tiny_model, "--out", "mined.json", "--json")
    (tmp_path / "mining.json").write_text(mined.stdout, encoding="utf-8")
    (tmp_path / "checks.json").write_text(runs("check", SAMPLE, "--json").stdout, encoding="utf-8")
    (tmp_path / "costs.json").write_text('{"tuned": {"train_seconds": 90}, "base": {"train_seconds": 0}}')
    words = ("--method", "adapter", "--epochs", "2", "--out", "model")
    assert runs("train", "mined.json", "--encoder", tiny_model, *words).returncode == 0
    runs("eval", SAMPLE, "--encoder", "model", "--split", "all", "--out", "tuned")
    words = ("--model", "model", "--mining", "mining.json", "--checks", "checks.json", "--costs", "costs.json")
    done = runs(
        "report", SAMPLE, "base=base", "bm25=bm25", "tuned", *words, "--guard", "same=base,tuned", "--proposed", "tuned"
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    links = [e.attributes["href"][1:] for e in Checked(page).elements if e.tag == "a"]
    assert links == ["systems", "costs", "training", "guards", "dataset", "mining", "queries"]
    assert "bm25 is better than" in page
    checkpoints = json.loads((tmp_path / "model" / "embedtune.json").read_text())["made_from"]["checkpoints"]
    curve = page.split('id="training"')[1].split("</svg>")[0]
    assert len(re.findall(r'class="dot (?:hollow|chosen)"', curve)) == len(checkpoints)
    found = json.loads((tmp_path / "mining.json").read_text(encoding="utf-8"))["mined"]
    histogram = page.split('id="mining"')[1].split("</svg>")[0]
    for row in found["ranks"]:
        assert f">{row['negatives']}<" in histogram


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("bm25", "gone"), "gone doesn't exist"),
        (("x=bm25", "x=base"), "two runs are called 'x'"),
        (("bm25", "base", "--proposed", "bas"), "did you mean 'base'"),
        (("bm25", "base", "--measure", "ndcg_at_9"), "unknown measure 'ndcg_at_9'"),
        (("bm25", "base", "--guard", "x=bm25"), "isn't NAME=BASE,TUNED"),
        (("bm25", "base", "--model", "bm25"), "holds a evaluation, expected a tuned-model"),
        (("bm25", "base", "--mining", "bm25/scores.json"), "isn't what embedtune mine --json prints"),
        (("bm25", "base", "--checks", "bm25/run.trec"), "not a readable JSON file"),
        (("bm25", "base", "--language", "zn"), "did you mean 'zh'"),
        (("bm25", "base", "--out", "bm25/scores.json"), "exists already"),
    ],
)
def test_mistakes_are_explained(runs, words, message):
    done = runs("report", SAMPLE, *words)
    assert done.returncode == 2
    assert message in done.stderr, done.stderr


def test_runs_of_another_dataset_are_refused(runs, sample_fields, tmp_path):
    del sample_fields["corpus"]["en-bees"]
    relevant = sample_fields["relevant_docs"]
    sample_fields["relevant_docs"] = {query: [d for d in found if d != "en-bees"] for query, found in relevant.items()}
    (tmp_path / "other.json").write_text(json.dumps(sample_fields), encoding="utf-8")
    done = runs("report", "other.json", "bm25", "base")
    assert done.returncode == 2
    assert "such as 'en-bees'" in done.stderr
    sample_fields["corpus"]["en-bees"] = "Bees."
    (tmp_path / "other.json").write_text(json.dumps(sample_fields), encoding="utf-8")
    assert "doesn't score by the dataset's judgements" in runs("report", "other.json", "bm25", "base").stderr
