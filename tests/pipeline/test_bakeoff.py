"""A whole bake-off on a small dataset with tiny models: done once, resumed, blind to test."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
from tests.conftest import SAMPLE, build_tiny_model, build_tiny_reranker

from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import DataError, StorageError
from embedtune.evaluate.guard_options import GuardOptions
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions
from embedtune.pipeline.bakeoff import expansion, making
from embedtune.pipeline.bakeoff.expansion import Bakeoff, expand
from embedtune.pipeline.bakeoff.making import Made, train_method
from embedtune.pipeline.bakeoff.options import BakeoffOptions
from embedtune.pipeline.bakeoff.running import run_bakeoff
from embedtune.pipeline.bakeoff.systems import SYSTEMS
from embedtune.pipeline.bakeoff.table import result_lines
from embedtune.pipeline.recipe import Recipe
from embedtune.pipeline.run_folder import RunFolder
from embedtune.pipeline.running import run_recipe
from embedtune.pipeline.step_kind import StepJob, Workshop
from embedtune.search.reranker_options import RerankerOptions

RECIPE = """
data: {data}
encoder: {encoder}
encoder_options: {{precision: float32}}
steps:
  bakeoff: {{data: data, reranker: {reranker}, guard: {{own: {data}}}, budget: 20s, negatives: 1, resamples: 200,
    rerank_depth: 10, timed_queries: 2}}
"""


@dataclasses.dataclass(frozen=True)
class Finished:
    """A bake-off done as a step of a recipe, and what was asked, to ask it again."""

    asked: Bakeoff
    folder: object
    lines: list


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    place = tmp_path_factory.mktemp("bakeoff")
    encoder, reranker = build_tiny_model(place / "e"), build_tiny_reranker(place / "r")
    path, data = place / "recipe.yaml", place / "household.json"
    shutil.copy(SAMPLE, data)
    path.write_text(RECIPE.format(data=data, encoder=encoder, reranker=reranker), encoding="utf-8")
    done = run_recipe(Recipe.read(path), RunFolder(place / "run"), Workshop(EmbeddingCache(place / "cache")))
    asked = Bakeoff(
        str(data),
        str(encoder),
        {"own": str(data)},
        str(reranker),
        BakeoffOptions(budget="20s", negatives=1, rerank_depth=10, timed_queries=2),
        GuardOptions(resamples=200),
        EncoderOptions(precision="float32"),
        RerankerOptions(),
    )
    return Finished(asked, place / "run" / "bakeoff", list(done[0].lines))


@pytest.fixture
def counted(monkeypatch):
    """Lists the steps whose work is done."""
    from embedtune.pipeline import running

    done, begin = [], running.RunFolder.begin

    def noted(self, name, key, *, resumes):
        done.append(name)
        return begin(self, name, key, resumes=resumes)

    monkeypatch.setattr(running.RunFolder, "begin", noted)
    return done


def again(finished, folder=None, **changes):
    asked = dataclasses.replace(finished.asked, **changes)
    return run_bakeoff(asked, folder or finished.folder, Workshop(EmbeddingCache(None)))


def figures(folder):
    return json.loads((folder / "bakeoff.json").read_text(encoding="utf-8"))


def test_every_system_has_a_row_or_a_reason(finished):
    content = figures(finished.folder)
    measured = {row["name"]: row for row in content["systems"]}
    assert set(measured) | set(content["left_out"]) == set(SYSTEMS)
    assert {"base", "bm25", "hybrid", "rerank"} <= set(measured)
    assert content["recommended"] in measured
    assert content["options"]["budget"] == "20s"
    hybrid = measured["hybrid"]
    assert hybrid["test"]["against_base"]["p"] > 0
    assert hybrid["guards"][0]["name"] == "own"
    costs = hybrid["costs"]
    assert costs["query_milliseconds"] > 0
    assert costs["documents_to_encode"] == 0
    assert costs["size_bytes"] > measured["base"]["costs"]["size_bytes"] > measured["bm25"]["costs"]["size_bytes"] > 0
    for name in ("lora", "full"):
        if name in measured:
            assert measured[name]["costs"]["documents_to_encode"] == len(RetrievalDataset.read(SAMPLE).corpus)
    assert finished.lines[0].startswith("system")


def test_the_page_shows_the_decision_what_decided_it_and_what_was_left_out(finished):
    content, page = figures(finished.folder), (finished.folder / "report.html").read_text(encoding="utf-8")
    for text in content["headline"]:
        assert text.replace("'", "&#39;") in page
    assert 'class="choice"' in page
    for name in content["left_out"]:
        assert f"<li><strong>{name}</strong>" in page


def test_nothing_that_is_finished_is_done_again(finished, counted):
    before = figures(finished.folder)
    again(finished)
    assert counted == []
    after = figures(finished.folder)
    assert after["systems"] == before["systems"]
    assert after["reasons"] == before["reasons"]


def test_a_killed_one_goes_on_with_what_is_not_finished(finished, counted, tmp_path):
    folder = tmp_path / "killed"
    shutil.copytree(finished.folder, folder)
    before = figures(folder)
    for name in ("val-lora", "recommendation"):  # as a kill before their manifests leaves them
        (folder / "steps" / name / "embedtune.json").rename(folder / "steps" / name / ".begun")
    (folder / "bakeoff.json").unlink()
    again(finished, folder)
    assert counted == ["val-lora", "recommendation"]
    assert figures(folder)["recommended"] == before["recommended"]


def test_nothing_is_chosen_on_test(finished, counted, tmp_path):
    folder, data = tmp_path / "shuffled", RetrievalDataset.read(finished.asked.dataset)
    shutil.copytree(finished.folder, folder)
    before = figures(folder)
    test = data.queries_split["test"]
    turned = dict(zip(test, [data.relevant_docs[name] for name in [*test[1:], test[0]]], strict=True))
    shuffled = dataclasses.replace(data, relevant_docs={**data.relevant_docs, **turned})
    shuffled.write(tmp_path / "shuffled.json")
    again(finished, folder, dataset=str(tmp_path / "shuffled.json"))
    after = figures(folder)
    assert set(counted) == {"without-test", *(f"test-{name}" for name in SYSTEMS)}
    assert after["recommended"] == before["recommended"]
    assert after["headline"] == before["headline"]
    decided = len(before["reasons"]) - 1  # the last one says what test said
    assert after["reasons"][:decided] == before["reasons"][:decided]
    assert [row["val"] for row in after["systems"]] == [row["val"] for row in before["systems"]]
    assert [row["test"] for row in after["systems"]] != [row["test"] for row in before["systems"]]


def test_another_budget_measures_what_needs_no_training_only_once(finished, counted, tmp_path, monkeypatch):
    folder = tmp_path / "longer"
    shutil.copytree(finished.folder, folder)
    monkeypatch.setattr(expansion, "TRAINED", ())

    def stop(job):
        raise StorageError("stopped here")

    monkeypatch.setattr(expansion, "mix", stop)
    with pytest.raises(StorageError, match="stopped here"):
        again(finished, folder, options=BakeoffOptions(budget="21s", negatives=1, rerank_depth=10, timed_queries=2))
    assert counted == ["merged"]


def test_the_table_is_spoken_in_chinese_too(finished):
    result = again(finished)
    assert any(line.startswith("建议：") for line in result_lines(result, "zh"))
    assert any(line.startswith("Recommended: ") for line in result_lines(result))


def job_for(finished, tmp_path, data, encoder, budget="20s"):
    speed = tmp_path / "speed.json"
    speed.write_text('{"documents_per_second": 100}')
    options = {BakeoffOptions: BakeoffOptions(budget=budget, negatives=0)}
    options |= {EncoderOptions: EncoderOptions(precision="float32"), GuardOptions: GuardOptions(resamples=200)}
    inputs = {"data": str(data), "encoder": encoder, "speed": str(speed)}
    return StepJob(tmp_path, options, inputs, Workshop(EmbeddingCache(None)))


@pytest.mark.parametrize("method", ["full", "lora"])
def test_an_encoder_without_gradients_gets_a_row_that_says_why(finished, tmp_path, method):
    train_method(job_for(finished, tmp_path, SAMPLE, "https://models.example/v1"), method)
    made = Made.read(tmp_path / "made")
    assert made.model is None
    assert "gradients can't be had" in made.left_out.en


def test_without_training_queries_nothing_is_trained(finished, sample, tmp_path):
    dataclasses.replace(sample, queries_split={"val": sample.queries_split["val"]}).write(tmp_path / "d.json")
    train_method(job_for(finished, tmp_path, tmp_path / "d.json", finished.asked.encoder), "adapter")
    assert Made.read(tmp_path / "made").left_out.zh == "train 划分里没有带相关文档的查询"


def test_nudge_is_left_out_where_it_could_move_nothing_that_val_asks_for(finished, sample, tmp_path):
    val = sample.queries_split["val"]
    asked_for = {document for name in val for document in sample.positives(name)}
    train = [name for name in sample.queries_split["train"] if asked_for.isdisjoint(sample.positives(name))]
    data = dataclasses.replace(sample, queries_split={"train": train, "val": val})
    data.write(tmp_path / "d.json")
    train_method(job_for(finished, tmp_path, tmp_path / "d.json", finished.asked.encoder), "nudge")
    assert Made.read(tmp_path / "made").left_out.en.startswith(f"only 0 of {len(val)} val queries (0%)")


def test_training_gets_what_is_left_of_the_budget(finished, tmp_path, monkeypatch):
    given = {}

    def noted(training_set, encoder, folder, *, options, **rest):
        given["options"] = options
        raise DataError("enough seen")

    monkeypatch.setattr(making, "train", noted)
    train_method(job_for(finished, tmp_path, SAMPLE, finished.asked.encoder, budget="90s"), "full")
    assert 0 < given["options"].max_minutes <= 1.5
    assert given["options"].val_max_documents == 900  # a tenth of 90 s at 100 documents a second
    assert Made.read(tmp_path / "made").left_out.en == "enough seen"


def test_shares_are_tried_until_the_budget_is_used_up(finished, tmp_path, monkeypatch):
    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    clock, tried = Clock(), []

    def slow(*given, options, **rest):
        tried.append(options.grid)
        clock.now += 8
        return dataclasses.make_dataclass("Nothing", ["chosen"])(None)

    monkeypatch.setattr(making, "time", clock)
    monkeypatch.setattr(making, "choose_weight", slow)
    job = job_for(finished, tmp_path, SAMPLE, finished.asked.encoder)
    content = {"left_out": None, "seconds": 1, "score": 0.5, "words": []}
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "made.json").write_text(json.dumps(content))
    making.mix(dataclasses.replace(job, inputs={**job.inputs, "tuned": [str(tmp_path / "full")]}))
    assert tried == [(0.6,), (0.4,)]
    assert "no share of the tuned weights" in Made.read(tmp_path / "made").left_out.en


def test_val_and_test_are_needed(finished, sample, tmp_path):
    dataclasses.replace(sample, queries_split={"train": list(sample.queries)}).write(tmp_path / "d.json")
    with pytest.raises(DataError, match="no query of the split 'val' has a relevant document"):
        expand(dataclasses.replace(finished.asked, dataset=str(tmp_path / "d.json")))


def test_a_folder_with_someone_elses_page_stays_as_it_is(finished, tmp_path):
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(StorageError, match="no bake-off wrote"):
        again(finished, tmp_path)
    assert (tmp_path / "report.html").read_text() == "mine"
