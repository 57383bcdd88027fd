"""The recipe on tiny data in the layout of the authors' Hub dataset."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

RECIPE = Path(__file__).parents[2] / "recipes" / "nudge_nfcorpus.py"
README = """---
configs:
- config_name: data_records
  data_files:
  - split: train
    path: data.parquet
- config_name: qs
  data_files:
  - {split: train, path: train/qs.parquet}
  - {split: dev, path: dev/qs.parquet}
  - {split: test, path: test/qs.parquet}
- config_name: qs_rel
  data_files:
  - {split: train, path: train/qs_rel.parquet}
  - {split: dev, path: dev/qs_rel.parquet}
  - {split: test, path: test/qs_rel.parquet}
---
"""


def write(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def test_the_whole_recipe(tmp_path, sample, tiny_model, monkeypatch, capsys):
    source = tmp_path / "nfcorpus_ft"
    source.mkdir()
    (source / "README.md").write_text(README, encoding="utf-8")
    documents = list(sample.corpus)
    write(source / "data.parquet", text=list(sample.corpus.values()), record_id=list(range(len(documents))))
    for split, ending in (("train", ""), ("dev", "，怎么办"), ("test", " ?")):
        texts = [text + ending for text in sample.queries.values()]
        answers = [documents.index(sample.positives(query_id)[0]) for query_id in sample.queries]
        write(source / split / "qs.parquet", input=texts, q_id=list(range(len(texts))))
        write(source / split / "qs_rel.parquet", q_id=list(range(len(texts))), record_id=answers, rel=[2] * len(texts))
    monkeypatch.chdir(tmp_path)
    words = ["nudge_nfcorpus", "work", "--source", str(source), "--encoder", str(tiny_model)]
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(RECIPE), run_name="__main__")
    said = capsys.readouterr()
    printed = json.loads(said.out)
    assert printed["published"] == {"base": 0.339, "nudged": 0.445}
    assert printed["measured"]["nudged"] > printed["measured"]["base"] + 0.05
    assert "24 of 24 val queries (100%) are about documents that have training queries" in said.err
    monkeypatch.setattr(sys, "argv", ["nudge_nfcorpus", "work"])
    with pytest.raises(SystemExit, match="isn't wholly in the local Hub cache"):
        runpy.run_path(str(RECIPE), run_name="__main__")
