"""The main job through the command line, small, with a tiny model that knows nothing."""

from __future__ import annotations

import json

import pytest
from sentence_transformers import SentenceTransformer

SMALL = ("--documents", 80, "--epochs", 1, "--batch-size", 8, "--max-length", 48, "--precision", "float32")
STEPS = ["import", "check", "bm25", "base", "mine", "train", "tuned", "compare", "gate", "report"]
PACKAGES = [word for name in ("json", "asyncio", "email", "http", "logging") for word in ("--packages", name)]


@pytest.fixture
def quickstart(embedtune, tiny_model):
    def run(*words):
        return embedtune("quickstart", *SMALL, *PACKAGES, "--encoder", tiny_model, "--out", "run", *words)

    return run


def test_makes_everything_it_promises_and_reuses_it(quickstart, tmp_path):
    first = quickstart()
    assert first.returncode == 0, first.stderr
    assert "summary lines are not human search queries" in first.stderr
    assert "ndcg_at_10" in first.stdout
    assert "tuned against base: ndcg_at_10" in first.stdout
    assert "the gate: guard general-en, 176 queries" in first.stdout
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    for system in ("bm25", "base", "tuned"):
        assert len(summary[system]) == 20
    low, high = summary["difference"]["interval"]
    assert low <= summary["difference"]["mean"] <= high
    assert summary["difference"]["mean"] == pytest.approx(
        summary["tuned"]["ndcg_at_10"] - summary["base"]["ndcg_at_10"], abs=2e-5
    )
    assert list(summary["seconds"]) == STEPS
    model = SentenceTransformer(str(tmp_path / summary["model"]), device="cpu")
    assert model.encode(["a text"]).shape == (1, 32)

    second = quickstart("--json")
    assert second.returncode == 0, second.stderr
    assert second.stderr.count("done before, reused") == len(STEPS)
    assert json.loads(second.stdout)["tuned"] == summary["tuned"]
    again = quickstart("--epochs", 2, "--json")
    assert "[train] again: epochs: 1 → 2" in again.stderr
    assert again.stderr.count("done before, reused") >= 5, "only what the option changes is done again"


def test_a_full_dataset_that_cannot_be_found(quickstart):
    done = quickstart("--documents", 100_000)
    assert done.returncode == 2
    assert "usable docstrings, expected 100000" in done.stderr
    assert "Traceback" not in done.stderr
