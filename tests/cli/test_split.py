from __future__ import annotations

import json

from tests.conftest import SAMPLE

from embedtune.data.dataset import RetrievalDataset


def test_says_what_it_did_and_what_that_implies(embedtune, tmp_path):
    done = embedtune("split", SAMPLE, "--val", 0.2, "--test", 0.3, "--seed", 7, "--out", "divided.json")
    assert done.returncode == 0, done.stderr
    assert "split by document, seed 7: train" in done.stdout
    assert "no document is relevant on two sides" in done.stdout
    divided = RetrievalDataset.read(tmp_path / "divided.json")
    assert sum(map(len, divided.queries_split.values())) == 24
    refused = embedtune("split", SAMPLE, "--out", "divided.json")
    assert refused.returncode == 2
    assert "exists already" in refused.stderr


def test_from_json_to_a_parquet_folder(embedtune, tmp_path):
    done = embedtune("split", SAMPLE, "--by", "query", "--out", "folder", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["options"]["by"] == "query"
    assert (tmp_path / "folder" / "corpus.parquet").is_file()
    assert RetrievalDataset.read(tmp_path / "folder").corpus == RetrievalDataset.read(SAMPLE).corpus
    wrong = embedtune("split", SAMPLE, "--by", "documents", "--out", "other")
    assert wrong.returncode == 2
    assert "did you mean 'document'?" in wrong.stderr
