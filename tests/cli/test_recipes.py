from __future__ import annotations

import json

from tests.conftest import SAMPLE

RECIPE = f"""
data: {SAMPLE}
steps:
  split: {{data: data, val: 0.25, test: 0.25}}
  bm25: {{do: eval, data: split, retriever: bm25, split: test}}
"""


def test_init_plan_run_and_runs(embedtune, tmp_path):
    (tmp_path / "small.yaml").write_text(RECIPE, encoding="utf-8")
    planned = embedtune("plan", "small.yaml")
    assert "bm25           eval     to do" in planned.stdout
    assert "runs/small: 2 to do" in planned.stdout
    first = embedtune("run", "small.yaml")
    assert first.returncode == 0, first.stderr
    assert "queries of 'test': ndcg_at_10" in first.stdout
    assert "[split] done before, reused" in embedtune("run", "small.yaml").stderr
    steps = json.loads(embedtune("run", "small.yaml", "--set", "split.seed=7", "--out", "runs/other", "--json").stdout)
    assert [step["reused"] for step in steps] == [False, False]
    changed = json.loads(embedtune("plan", "small.yaml", "--set", "split.seed=7", "--json").stdout)
    assert changed[0]["estimate"].pop("seconds") is not None
    assert changed[0] | {"last_seconds": None, "estimate": None} == {
        "name": "split", "kind": "split", "state": "to do", "why": ["seed: 42 → 7"], "last_seconds": None,
        "estimate": None,
    }  # fmt: skip

    assert "2 of 2 steps" in embedtune("runs", "list").stdout
    compared = embedtune("runs", "compare", "runs/small", "runs/other").stdout
    assert "runs/other: split: seed: 42 → 7" in compared
    assert compared.splitlines()[1].startswith("bm25")
    assert embedtune("runs", "clean", "runs/small").stdout == "nothing to remove\n"
    (tmp_path / "runs/small/split/embedtune.json").write_text("{")
    (tmp_path / "runs/small/split/.begun").write_text("key")
    (tmp_path / "runs/small/mine").mkdir()
    assert embedtune("runs", "clean", "runs/small").stdout == "would remove runs/small/split\n"
    embedtune("runs", "clean", "runs/small", "--yes")
    assert not (tmp_path / "runs/small/split").exists()
    assert (tmp_path / "runs/small/mine").is_dir()
    assert "isn't a run" in embedtune("runs", "compare", "runs").stderr


def test_init_writes_a_recipe_that_can_be_planned(embedtune, tiny_model, tmp_path):
    done = embedtune("init", "--data", SAMPLE, "--encoder", tiny_model)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "recipe.yaml").read_text(encoding="utf-8")
    assert "# The data's own splits are used." in text
    assert embedtune("plan", "recipe.yaml").returncode == 0
    assert "exists already" in embedtune("init", "--data", SAMPLE).stderr
    assert "pass --schema" in embedtune("init").stderr
    assert "did you mean 'zh'?" in embedtune("init", "--data", SAMPLE, "--language", "zhh", "--overwrite").stderr
