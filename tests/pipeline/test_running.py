from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from tests.conftest import SAMPLE

from embedtune.errors import DataError, StorageError
from embedtune.models.cache import EmbeddingCache
from embedtune.pipeline.planning import plan
from embedtune.pipeline.recipe import Recipe
from embedtune.pipeline.run_folder import RunFolder
from embedtune.pipeline.running import run_recipe
from embedtune.pipeline.step_kind import Workshop

RECIPE = """
data: {data}
encoder: {encoder}
encoder_options: {{precision: float32}}
steps:
  check: {{data: data}}
  split: {{data: data, val: 0.25, test: 0.25}}
  bm25: {{do: eval, data: split, retriever: bm25, split: test}}
  base: {{do: eval, data: split, split: test}}
  mine: {{data: split, negatives: 2}}
  train: {{data: mine, method: adapter, epochs: 2, gate: false}}
  tuned: {{do: eval, data: split, encoder: train, split: test}}
  compare: {{a: bm25, b: tuned, resamples: 200}}
"""

SMALL = """
data: {data}
steps:
  check: {{data: data}}
  split: {{data: data, val: 0.25, test: 0.25}}
  bm25: {{do: eval, data: split, retriever: bm25, split: test}}
  again: {{do: eval, data: split, retriever: bm25, split: val}}
"""


@pytest.fixture
def reader(tmp_path, tiny_model):
    def write(text):
        path = tmp_path / "recipe.yaml"
        path.write_text(text.format(data=SAMPLE, encoder=tiny_model), encoding="utf-8")
        return lambda *changes: Recipe.read(path, changes)

    return write


@pytest.fixture
def small(reader):
    return reader(SMALL)


def run(recipe, folder):
    return run_recipe(recipe, RunFolder(folder), Workshop(EmbeddingCache(None)))


def redone(steps):
    return [step.name for step in steps if not step.reused]


def states(recipe, folder):
    return {one.step.name: (one.state, list(one.why)) for one in plan(recipe, RunFolder(folder))}


def test_steps_are_done_once_and_redone_only_where_something_changed(reader, tmp_path):
    recipe, folder = reader(RECIPE), tmp_path / "run"
    before = states(recipe(), folder)
    assert before["split"] == ("to do", ["it wasn't done before"])
    assert not folder.exists()
    everything = ["check", "split", "bm25", "base", "mine", "train", "tuned", "compare"]
    assert redone(run(recipe(), folder)) == everything
    assert {state for state, _ in states(recipe(), folder).values()} == {"done"}
    assert redone(run(recipe(), folder)) == []
    assert json.loads((folder / "recipe.json").read_text(encoding="utf-8"))["data"] == str(SAMPLE)

    change = "train.learning_rate=0.1"
    planned = states(recipe(change), folder)
    assert planned["train"] == ("to do", ["learning_rate: 0.001 → 0.1"])
    assert planned["tuned"] == ("perhaps", ["after train, if that changes"])
    assert planned["mine"] == planned["bm25"] == ("done", [])
    assert redone(run(recipe(change), folder))[:1] == ["train"]
    assert not {"split", "base", "mine", "bm25"} & set(redone(run(recipe(), folder)))

    assert redone(run(recipe("compare.resamples=300"), folder)) == ["compare"]


def test_what_gives_the_same_again_redoes_nothing_after_it(small, tmp_path):
    folder = tmp_path / "run"
    run(small(), folder)
    (folder / "split" / "embedtune.json").write_text("{")
    assert states(small(), folder)["bm25"] == ("perhaps", ["after split, if that changes"])
    assert redone(run(small(), folder)) == ["split"]


def test_changed_data_is_noticed_by_its_content(small, tmp_path, sample_fields):
    copy = tmp_path / "copy.json"
    copy.write_bytes(SAMPLE.read_bytes())
    folder, change = tmp_path / "run", f"data={copy}"
    run(small(), folder)
    assert redone(run(small(change), folder)) == []
    sample_fields["corpus"]["new"] = "one more document"
    copy.write_text(json.dumps(sample_fields), encoding="utf-8")
    assert states(small(change), folder)["split"] == ("to do", ["data has changed"])
    assert "split" in redone(run(small(change), folder))


def test_a_step_that_cannot_be_done_is_named_and_keeps_the_others(small, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(DataError, match="step 'bm25'"):
        run(small("split.test=0.001"), folder)
    planned = states(small(), folder)
    assert planned["check"][0] == "done"
    assert planned["bm25"] == ("to do", ["it was begun and not finished"])


def test_a_strangers_folder_is_left_alone(small, tmp_path):
    folder = tmp_path / "run"
    (folder / "split").mkdir(parents=True)
    (folder / "split" / "precious.txt").write_text("mine")
    with pytest.raises(StorageError, match="is in the way"):
        run(small(), folder)
    assert (folder / "split" / "precious.txt").read_text() == "mine"


def test_two_runs_at_once(small, tmp_path):
    folder = RunFolder(tmp_path / "run")
    holding = (
        "import sys, time; from pathlib import Path; from embedtune.pipeline.run_folder import RunFolder\n"
        f"with RunFolder(Path({str(folder.folder)!r})).locked(): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", holding], stdout=subprocess.PIPE, text=True, env=os.environ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match=rf"another run is at work in .* \(process {other.pid}\)"):
            run_recipe(small(), folder, Workshop(EmbeddingCache(None)))
        other.kill()
    with folder.locked(wait=True):
        pass
