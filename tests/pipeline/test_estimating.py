from __future__ import annotations

import json

import pytest
from tests.conftest import SAMPLE

from embedtune.models.cache import EmbeddingCache
from embedtune.pipeline import rates
from embedtune.pipeline.estimating import Estimator
from embedtune.pipeline.planning import plan
from embedtune.pipeline.recipe import Recipe
from embedtune.pipeline.run_folder import RunFolder
from embedtune.pipeline.running import run_recipe
from embedtune.pipeline.step_kind import Workshop

RECIPE = """
data: {data}
encoder: {encoder}
encoder_options: {{precision: float32}}
guard: {{same: {data}}}
steps:
  split: {{data: data, val: 0.25, test: 0.25}}
  base: {{do: eval, data: split, split: test}}
  again: {{do: eval, data: split, split: test, top_k: 5}}
  mine: {{data: split, negatives: 2}}
  train: {{data: mine, method: full, epochs: 2, batch_size: 8}}
  tuned: {{do: eval, data: split, encoder: train, split: test}}
  synth: {{data: data, backend: openai, model: some, base_url: "http://127.0.0.1:9", input_price: 2, output_price: 8}}
  filter: {{data: synth, filters: [llm-judge], model: some, base_url: "http://127.0.0.1:9"}}
"""


@pytest.fixture
def recipe(tmp_path, tiny_model):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(data=SAMPLE, encoder=tiny_model), encoding="utf-8")
    return path


@pytest.fixture
def cache(tmp_path):
    return EmbeddingCache(tmp_path / "cache")


def estimates(recipe, folder, cache):
    return Estimator(folder, cache, cache.folder / "replies").estimate(plan(recipe, folder))


def known(monkeypatch, documents, queries, texts):
    """Takes rates instead of measuring some."""
    fixed = rates.Rates(documents, queries, 500, 32, {}, {"query": "", "document": ""}, texts, 7)
    monkeypatch.setattr("embedtune.pipeline.estimating.measure_rates", lambda *words, **more: fixed)


def test_counts_what_there_is_to_do(recipe, tmp_path, cache, monkeypatch):
    known(monkeypatch, documents=2.0, queries=4.0, texts=0.5)
    found = estimates(Recipe.read(recipe), RunFolder(tmp_path / "runs" / "one"), cache)
    assert found["split"].seconds is None
    assert "no step of its kind" in found["split"].rests_on
    assert found["base"].seconds == pytest.approx(24 / 2 + 6 / 4)
    assert found["base"].memory_bytes == 500 + 24 * 32 * 4
    assert found["again"].seconds == pytest.approx(6 / 4), "the step before has encoded the documents"
    assert found["mine"].seconds == pytest.approx(12 / 4)
    assert found["tuned"].seconds == pytest.approx(24 / 2 + 6 / 4), "new weights, so everything is encoded again"
    pairs = sum(len(ids) for ids in json.loads(SAMPLE.read_text(encoding="utf-8"))["relevant_docs"].values())
    trained = round(12 * pairs / 24) * (2 + 2) * 2 * 0.5
    validated = 4 * (24 + 6) / 2
    mixed = 5 * (24 + 6 + 48) / 2
    assert found["train"].seconds == pytest.approx(trained + validated + mixed + 24 / 4)
    assert found["train"].memory_bytes == found["base"].memory_bytes + 7
    assert found["synth"].seconds is None
    assert found["synth"].cost > 0
    assert "24 calls" in found["synth"].rests_on
    assert (found["filter"].cost, found["filter"].seconds) == (None, None)
    assert "before synth is done" in found["filter"].rests_on


def test_measures_once_and_learns_from_what_was_done(recipe, tmp_path, cache, monkeypatch):
    first = Recipe.read(recipe)
    folder = RunFolder(tmp_path / "runs" / "one")
    found = estimates(first, folder, cache)
    assert found["train"].seconds > found["base"].seconds > 0
    assert found["train"].memory_bytes > found["base"].memory_bytes > 50_000_000
    assert "measured here" in found["train"].rests_on
    with monkeypatch.context() as patched:
        patched.setattr(rates, "_measured", lambda *words: pytest.fail("it was measured before"))
        assert estimates(first, folder, cache) == found
    short = RECIPE.format(data=SAMPLE, encoder=first.values["encoder"]).partition("  again:")[0]
    recipe.write_text(short, encoding="utf-8")
    run_recipe(Recipe.read(recipe), RunFolder(tmp_path / "runs" / "before"), Workshop(cache))
    later = estimates(Recipe.read(recipe), folder, cache)
    assert later["split"].seconds is not None
    assert later["base"].seconds < found["base"].seconds, "the documents are in the cache now"


def test_a_model_that_is_not_here_is_not_fetched(recipe, tmp_path, cache, monkeypatch):
    monkeypatch.setattr(rates, "_measured", lambda *words: pytest.fail("the model isn't here"))
    there = Recipe.read(recipe, ["encoder=BAAI/bge-small-zh-v1.5"])
    found = estimates(there, RunFolder(tmp_path / "runs" / "one"), cache)
    assert (found["base"].seconds, found["base"].cost) == (None, 0.0)
    assert "isn't on this machine" in found["base"].rests_on


def test_plan_shows_it(recipe, embedtune):
    quick = embedtune("plan", recipe, "--no-estimate")
    assert "money" not in quick.stdout
    shown = embedtune("plan", recipe)
    assert shown.returncode == 0, shown.stderr
    assert "money " in shown.stdout
    assert "what filter will cost: unknown" in shown.stdout
    assert "  filter: unknown before synth is done" in shown.stdout
    fields = {one["name"]: one for one in json.loads(embedtune("plan", recipe, "--json").stdout)}
    assert fields["base"]["estimate"]["seconds"] > 0
