from __future__ import annotations

import json

import pytest
from tests.conftest import SAMPLE

from embedtune.errors import DataError
from embedtune.pipeline.data_facts import look_at
from embedtune.pipeline.drafting import draft_recipe
from embedtune.pipeline.recipe import Recipe
from embedtune.pipeline.schema import recipe_schema


def kinds(path, encoder="minilm", **words):
    text = draft_recipe(look_at(path), encoder, **words)
    recipe = path.parent / "drafted.yaml"
    recipe.write_text(text, encoding="utf-8")
    return text, [step.kind_name for step in Recipe.read(recipe).steps]


@pytest.fixture
def write(tmp_path, sample_fields):
    def write_fields(**changes):
        path = tmp_path / "data.json"
        path.write_text(json.dumps(sample_fields | changes, ensure_ascii=False), encoding="utf-8")
        return path

    return write_fields


def test_a_dataset_with_splits_keeps_them(write):
    text, steps = kinds(write())
    assert "split" not in steps
    assert steps[-3:] == ["compare", "gate", "report"]
    assert "# The data's own splits are used." in text
    assert "4 queries have several relevant documents" in text
    assert "method: adapter" in text


def test_missing_splits_queries_and_negatives(write, sample_fields):
    assert "split" in kinds(write(queries_split={}))[1]
    train = sample_fields["queries_split"]["train"]
    negatives = {query_id: [next(iter(sample_fields["corpus"]))] for query_id in train}
    text, steps = kinds(write(negative_docs=negatives))
    assert "mine" not in steps
    assert "# The data's own negatives are used." in text
    text, steps = kinds(write(queries={}, relevant_docs={}, queries_split={}, negative_docs={}, reference_answers={}))
    assert steps[:4] == ["synth", "filter", "split", "check"]
    assert "All figures will be about made queries" in text


def test_chinese_documents_get_chinese_comments(tmp_path):
    folder = tmp_path / "文档"
    folder.mkdir()
    (folder / "路由器.md").write_text("# 路由器\n\n指示灯闪烁时，请先关闭电源，等待十秒后再打开。\n", encoding="utf-8")
    text, steps = kinds(folder)
    assert steps[:2] == ["import", "synth"]
    assert "minilm 是英文模型" in text
    assert "把文件切成模型能整段读完的文档" in text
    assert "Files to documents" in kinds(folder, language="en")[0]


def test_no_data(tmp_path):
    with pytest.raises(DataError, match="doesn't exist"):
        look_at(tmp_path / "none")


@pytest.mark.slow
def test_the_schema_knows_every_option(write):
    schema = recipe_schema()
    assert set(schema["properties"]["steps"]["properties"]) == set(schema["$defs"])
    recipe = write().parent / "recipe.yaml"
    recipe.write_text(draft_recipe(look_at(SAMPLE), "minilm"), encoding="utf-8")
    for step in Recipe.read(recipe).steps:
        known = schema["$defs"][step.kind_name]["properties"]
        assert set(step.inputs) <= set(known)
        assert {name.removesuffix("_") for name in step.option_values()} <= {name.removesuffix("_") for name in known}
    train = schema["$defs"]["train"]["properties"]
    assert train["method"]["enum"] == ["adapter", "full", "lora", "nudge"]
    assert train["lora_dropout"]["description"] == "Dropout before each addition."
    assert "from" in schema["$defs"]["mine"]["properties"]
    assert schema["$defs"]["filter"]["properties"]["filters"]["items"]["enum"]
