"""Every recipe that ships runs at small size, to its page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.conftest import SAMPLE
from tests.recipes.test_case_study import write_collections

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = {
    "quickstart": ("import.documents=150",),
    "documents_only": ("import.source=documents", "filter.filters=[duplicates]", "split.val=0.2"),
    "labelled_queries": (f"data={SAMPLE}", "split.val=0.25", "split.test=0.25"),
    "no_gpu_ten_minutes": (f"data={SAMPLE}", "split.val=0.25", "split.test=0.25"),
    "index_must_stay": (f"data={SAMPLE}", "split.val=0.25", "split.test=0.25"),
    "into_production": (
        f"data={SAMPLE}", f"guard.others={SAMPLE}", "split.val=0.25", "split.test=0.25", "train.epochs=4",
        "train.learning_rate=1e-3", "train.batch_size=8", "export.format=fp16", "export.rounds=1",
    ),
    "case_study": (
        "infgrad.source=infgrad", "airbench.source=task", "mine.from=5", "mine.to=20", "mine.sample=3",
        "train.batch_size=8",
    ),
}  # fmt: skip
TRAINING = {"quickstart", "documents_only", "labelled_queries"}
VECTORS = {"no_gpu_ten_minutes", "index_must_stay"}


def test_every_recipe_is_run_here():
    assert {path.stem for path in RECIPES.glob("*.yaml")} == set(SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_recipe_runs_to_its_page(name, embedtune, tiny_model, tmp_path, sample):
    write_documents(tmp_path / "documents")
    write_collections(tmp_path, sample)
    changes = [f"encoder={tiny_model}", "encoder_options.precision=float32", *SMALL[name]]
    changes += ["train.epochs=1", "train.batch_size=8"] if name in TRAINING else []
    changes += ["train.epochs=2"] if name in VECTORS else []
    words = [word for change in changes for word in ("--set", change)]
    done = embedtune("run", RECIPES / f"{name}.yaml", *words, "--out", "run", "--json")
    assert done.returncode in (0, 3), done.stderr
    steps = json.loads(done.stdout)
    assert steps[-1]["kind"] == "report"
    page = Path(steps[-1]["outputs"]["page"]).read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    again = json.loads(embedtune("run", RECIPES / f"{name}.yaml", *words, "--out", "run", "--json").stdout)
    assert all(step["reused"] for step in again)


def write_documents(folder):
    folder.mkdir()
    fields = json.loads(SAMPLE.read_text(encoding="utf-8"))
    for number, text in enumerate(fields["corpus"].values()):
        (folder / f"{number}.txt").write_text(f"{text}\n", encoding="utf-8")
