from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.conftest import SAMPLE

from embedtune.artifact import Artifact
from embedtune.data.dataset import RetrievalDataset
from embedtune.search.stores.faiss import FAISS_COLLECTION

EXACT = ("--precision", "float32")


def test_publishes_with_the_stores_own_flags(embedtune, tiny_model, tmp_path):
    words = ("publish", tiny_model, SAMPLE, "--to", "faiss", "--path", "store", "--collection", "household", *EXACT)
    first = embedtune(*words, "--split", "all", "--json")
    assert first.returncode == 0, first.stderr
    report = json.loads(first.stdout)
    folder = tmp_path / "store" / "household"
    assert report["added"] == report["documents"] == len(RetrievalDataset.read(SAMPLE).corpus)
    assert report["check"]["passed"]
    evaluated = json.loads(embedtune("eval", SAMPLE, "--encoder", tiny_model, "--split", "all", *EXACT).stdout)
    assert round(report["check"]["store"], 5) == evaluated["ndcg_at_10"]
    written = (folder / "index.faiss").stat().st_mtime_ns
    again = embedtune(*words)
    assert "0 new, 0 replaced" in again.stdout
    assert "the store finds what exact search finds" in again.stdout
    assert (folder / "index.faiss").stat().st_mtime_ns == written
    graph = embedtune(*words, "--index", "hnsw", "--no-check")
    assert "not searched" in graph.stdout
    assert Artifact.open(folder, FAISS_COLLECTION).manifest["made_from"]["index"] == "hnsw"


def test_documents_that_are_in_the_way_make_it_refuse(embedtune, tiny_model, tmp_path, sample):
    crowd = {f"{name} {copy}": text for name, text in sample.corpus.items() for copy in range(12)}
    replace(sample, corpus=dict(sample.corpus) | crowd).write(tmp_path / "crowd.json")
    words = ("--path", "store", "--split", "all", *EXACT)
    assert embedtune("publish", tiny_model, "crowd.json", *words).returncode == 0
    refused = embedtune("publish", tiny_model, SAMPLE, *words)
    assert refused.returncode == 3
    assert f"left over      {len(crowd)} documents" in refused.stdout
    assert "REFUSED" in refused.stdout
    cleared = embedtune("publish", tiny_model, SAMPLE, *words, "--delete-missing")
    assert cleared.returncode == 0
    assert f"deleted        {len(crowd)}" in cleared.stdout


def test_each_store_has_its_own_help(embedtune):
    shown = embedtune("publish", "--help").stdout
    assert "--path" in shown
    assert "--url" not in shown
    assert "lancedb A LanceDB table on disk" in " ".join(shown.split())
    pytest.importorskip("pymilvus")
    assert "--url" in embedtune("publish", "--to", "milvus", "--help").stdout


def test_mistakes(embedtune, tiny_model):
    unknown = embedtune("publish", tiny_model, SAMPLE, "--to", "fais")
    assert unknown.returncode == 2
    assert "did you mean 'faiss'?" in unknown.stderr
    nowhere = embedtune("publish", tiny_model, SAMPLE)
    assert nowhere.returncode == 2
    assert "name a folder with --path" in nowhere.stderr
    split = embedtune("publish", tiny_model, SAMPLE, "--path", "store", "--split", "tset")
    assert split.returncode == 2
    assert "did you mean 'test'?" in split.stderr


def test_compress_prints_the_table(embedtune, tiny_model):
    words = ("compress", tiny_model, SAMPLE, "--split", "all", "--dims", "16", *EXACT)
    table = json.loads(embedtune(*words, "--json").stdout)
    assert [row["bytes_per_vector"] for row in table["rows"]] == [128, 64, 32, 4, 4, 36, 132, 64, 16]
    shown = embedtune(*words).stdout
    assert "binary, rescored by int8" in shown
    assert "4 + 32" in shown
