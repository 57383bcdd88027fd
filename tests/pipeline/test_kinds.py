"""What steps can be told as the verbs can: a clean copy, a judge, the doctor, a merge that refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.conftest import SAMPLE
from tests.language.chat_server import Answer, ChatServer

from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import DataError, OptionsError
from embedtune.models.cache import EmbeddingCache
from embedtune.pipeline.recipe import Recipe
from embedtune.pipeline.run_folder import RunFolder
from embedtune.pipeline.running import run_recipe
from embedtune.pipeline.step_kind import Workshop


@pytest.fixture
def run(tmp_path):
    def run_steps(steps, **top):
        path = tmp_path / "recipe.yaml"
        path.write_text(json.dumps({"data": str(SAMPLE), **top, "steps": steps}, ensure_ascii=False), encoding="utf-8")
        workshop = Workshop(EmbeddingCache(None), tmp_path / "replies")
        return {step.name: step for step in run_recipe(Recipe.read(path), RunFolder(tmp_path / "run"), workshop)}

    return run_steps


def test_check_leaves_a_clean_copy_for_the_steps_after_it(run, tmp_path, sample_fields, tiny_model):
    sample_fields["relevant_docs"][next(iter(sample_fields["queries"]))] = ["en-kettle", "nowhere"]
    faulty = tmp_path / "坏数据.json"
    faulty.write_text(json.dumps(sample_fields, ensure_ascii=False), encoding="utf-8")
    steps = {"check": {"data": str(faulty)}, "bm25": {"do": "eval", "data": "check", "retriever": "bm25"}}
    with pytest.raises(OptionsError, match=r"takes a dataset, and the step 'check' gives checks"):
        run(steps)
    with pytest.raises(DataError, match=r"step 'check': 1 entry names a document that isn't[\s\S]*fix: true"):
        run({"check": {"data": str(faulty)}})
    steps["check"] |= {"fix": True, "encoder": str(tiny_model), "max_length": 8}
    done = run(steps)
    assert RetrievalDataset.read(done["check"].outputs["dataset"]).corpus == sample_fields["corpus"]
    changes = json.loads((tmp_path / "run" / "check" / "changes.json").read_text(encoding="utf-8"))
    assert "nowhere" in json.dumps(changes)
    assert any("longer than the 8 tokens" in line for line in done["check"].lines)


def test_mine_asks_a_judge_and_the_doctor(run, tiny_model):
    mine = {"data": "data", "negatives": 2, "judge": True, "diagnose": True, "model": "judge", "diagnosed_queries": 5}
    mine |= {"strategy": "rank-window"}
    with ChatServer(lambda request, number: Answer('{"grade": 1}')) as server:
        done = run({"mine": mine | {"base_url": server.url}}, encoder=str(tiny_model))
    assert server.requests
    content = json.loads(Path(done["mine"].outputs["mining"]).read_text(encoding="utf-8"))
    assert content["teacher"] == "judge"
    assert content["diagnosis"]["queries"] == 5
    assert any("look like hidden positives" in line for line in done["mine"].lines)
    with pytest.raises(OptionsError, match="two teachers"):
        run({"mine": mine | {"rerank": "minilm"}}, encoder=str(tiny_model))
    with pytest.raises(OptionsError, match="relabel needs a teacher"):
        run({"mine": {"data": "data", "relabel": True}}, encoder=str(tiny_model))


def test_a_merge_without_a_gain_leaves_the_base_and_refuses(run, tiny_model):
    merge = {"data": "data", "base": str(tiny_model), "tuned": str(tiny_model), "select": True, "grid": [1.0]}
    done = run({"merge": merge, "bm25": {"do": "eval", "data": "data", "retriever": "bm25"}})
    assert done["merge"].refused
    assert any("the base came out" in line for line in done["merge"].lines)
    assert done["bm25"].lines
