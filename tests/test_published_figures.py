"""Real collections and the real model; slow, and skipped where the collections aren't."""

from __future__ import annotations

import json
import os

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def all_cores(monkeypatch):
    """The other tests keep to one thread each."""
    monkeypatch.setenv("OMP_NUM_THREADS", str(os.cpu_count()))


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_scifact_is_as_published(embedtune_process, shared_data, precision):
    """0.6451: all-MiniLM-L6-v2, SciFact test, MTEB."""
    words = ("--encoder", "minilm", "--split", "test", "--precision", precision)
    done = embedtune_process("eval", shared_data / "scifact" / "dataset.json", *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ndcg_at_10"] == pytest.approx(0.6451, abs=0.002)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("scifact", 0.657), ("cmrc2018", 0.985), ("rgb-zh-news", 0.647), ("dureader-demo-zh", 0.738), ("drcd", 0.933)],
)
def test_bm25_is_as_other_tools_measure_it(embedtune_process, shared_data, name, expected):
    """The collections' own notes, made with bm25s; ours also folds widths and case."""
    done = embedtune_process("eval", shared_data / name / "dataset.json", "--retriever", "bm25", "--split", "test")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ndcg_at_10"] == pytest.approx(expected, abs=0.015)


def test_quickstart_gains_three_points(embedtune_process, tmp_path):
    done = embedtune_process("quickstart", "--out", "run")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["difference"]["mean"] >= 0.03
    assert summary["difference"]["p"] < 0.05
    assert sum(summary["seconds"].values()) < 480
