from __future__ import annotations

import json

import pytest
from tests.conftest import SAMPLE

from embedtune.evaluate.measures import default_measures
from embedtune.evaluate.scores import score_run
from embedtune.search.run import Run


def test_prints_the_case_studys_json_and_nothing_else(embedtune, tiny_model):
    done = embedtune("eval", SAMPLE, "--encoder", tiny_model, "--split", "test")
    assert done.returncode == 0, done.stderr
    means = json.loads(done.stdout)
    assert list(means) == [str(measure) for measure in default_measures()]
    assert all(value == round(value, 5) for value in means.values())


def test_a_second_evaluation_encodes_nothing(embedtune, tiny_model):
    words = ("eval", SAMPLE, "--encoder", tiny_model, "--cache-dir", "c")
    first, second = embedtune(*words), embedtune(*words)
    assert "encoded 28 texts" in first.stderr
    assert "encoded 0 texts" in second.stderr
    assert first.stdout == second.stdout


@pytest.mark.parametrize("retriever", ["bm25", "hybrid", "dense"])
def test_out_keeps_scores_run_and_provenance(embedtune, tiny_model, tmp_path, sample, retriever):
    words = ("eval", SAMPLE, "--retriever", retriever, "--split", "test", "--out", "out")
    done = embedtune(*words, *(() if retriever == "bm25" else ("--encoder", tiny_model)))
    assert done.returncode == 0, done.stderr
    run = Run.read_trec(tmp_path / "out" / "run.trec")
    again = score_run(run, sample.qrels(sample.split_query_ids("test")))
    assert again.means() == json.loads(done.stdout)
    manifest = json.loads((tmp_path / "out" / "embedtune.json").read_text(encoding="utf-8"))
    assert manifest["made_from"]["retriever"] == retriever
    assert manifest["made_from"]["dataset_sha256"] == sample.content_hash()
    assert ("weights" in (manifest["made_from"]["encoder_key"] or {})) == (retriever != "bm25")
    scores = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert scores["queries"]["q19"]["text"] == "泡绿茶用多少度的水"


def test_instructions_change_the_result_and_are_recorded(embedtune, tiny_model, tmp_path):
    instruction = "为这个句子生成表示以用于检索相关文章："
    plain = embedtune("eval", SAMPLE, "--encoder", tiny_model, "--split", "all")
    words = ("--query-instruction", instruction, "--out", "out")
    told = embedtune("eval", SAMPLE, "--encoder", tiny_model, "--split", "all", *words)
    assert told.returncode == 0, told.stderr
    assert told.stdout != plain.stdout
    manifest = json.loads((tmp_path / "out" / "embedtune.json").read_text(encoding="utf-8"))
    assert manifest["made_from"]["prompts"]["query"] == instruction


def test_queries_without_documents_are_counted(embedtune, sample_fields, tmp_path):
    sample_fields["relevant_docs"].pop("q19")
    (tmp_path / "d.json").write_text(json.dumps(sample_fields), encoding="utf-8")
    done = embedtune("eval", "d.json", "--retriever", "bm25", "--split", "test")
    assert "1 queries without a relevant document are left out" in done.stderr


def test_compare(embedtune, tiny_model, tmp_path):
    embedtune("eval", SAMPLE, "--encoder", tiny_model, "--split", "all", "--out", "a")
    embedtune("eval", SAMPLE, "--retriever", "bm25", "--split", "all", "--out", "b")
    table = embedtune("compare", "a", "b", "--moved", "24")
    assert table.returncode == 0, table.stderr
    assert "ndcg_at_10: b is better than a" in table.stdout.lower()
    assert "gained most" in table.stdout
    assert "q24: 梅雨天衣服晾不干" in table.stdout
    machine = json.loads(embedtune("compare", "a", "b", "--json", "--moved", "3").stdout)
    assert machine["queries"] == 24
    assert len(machine["gained"]) == 3
    assert set(machine["queries_needed"]) == {"1", "2"}
    assert machine["wins"] + machine["ties"] + machine["losses"] == 24
    other = embedtune("eval", SAMPLE, "--retriever", "bm25", "--split", "test", "--out", "c")
    assert other.returncode == 0
    refused = embedtune("compare", "a", "c")
    assert refused.returncode == 2
    assert "different queries" in refused.stderr
