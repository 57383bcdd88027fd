from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedtune.data.checks import check_dataset
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.parquet_texts import ParquetTexts
from embedtune.data.splits import SplitOptions, split_dataset
from embedtune.data.usable import read_usable
from embedtune.errors import DataError, StorageError


def test_round_trip_loses_nothing(tmp_path, sample):
    odd = replace(
        sample,
        relevant_docs={
            **sample.relevant_docs,
            "q01": {"en-kettle": 2, "zh-kettle": 0.5, "en-tea": 0},
            "q02": [],
            "q03": {},
        },
        reference_answers={**sample.reference_answers, "q01": None, "q02": ""},
        queries_split={**sample.queries_split, "dev": []},
        extra={"made_by": {"tool": "x"}, "版本": 2},
    )
    odd.write(tmp_path / "folder")
    again = RetrievalDataset.read(tmp_path / "folder")
    assert again == odd
    assert again.content_hash() == odd.content_hash()
    again.write(tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text(encoding="utf-8")) == odd.to_fields()
    assert again.grades("q01") == {"en-kettle": 2, "zh-kettle": 0.5, "en-tea": 0}


def test_reopened_in_a_new_process(tmp_path, sample):
    sample.write(tmp_path / "folder")
    program = "import sys; from embedtune import RetrievalDataset as R; print(R.read(sys.argv[1]).content_hash())"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "folder")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == sample.content_hash()


def test_texts_stay_on_disk_until_they_are_asked_for(tmp_path):
    corpus = {f"d{i}": f"{i} " + "x" * 5000 for i in range(2000)}
    RetrievalDataset({"q": "?"}, corpus, {"q": ["d7"]}).write(tmp_path / "folder")
    texts = RetrievalDataset.read(tmp_path / "folder").corpus
    assert isinstance(texts, ParquetTexts)
    assert len(texts) == 2000
    assert not texts._kept
    assert "_row_of" not in vars(texts)
    assert (texts["d1999"], texts["d0"], texts["d1"]) == (corpus["d1999"], corpus["d0"], corpus["d1"])
    assert len(texts._kept) == 2
    assert list(texts) == list(corpus)
    assert dict(texts) == corpus
    assert "d2000" not in texts
    assert copy.copy(texts) == corpus
    with pytest.raises(KeyError):
        texts["nobody"]


def test_split_and_check_take_a_folder(tmp_path, sample):
    sample.write(tmp_path / "folder")
    opened = RetrievalDataset.read(tmp_path / "folder")
    assert check_dataset(opened) == check_dataset(sample)
    options = SplitOptions(val=0.2, test=0.2)
    divided = split_dataset(opened, options).dataset
    divided.write(tmp_path / "divided")
    assert RetrievalDataset.read(tmp_path / "divided") == split_dataset(sample, options).dataset
    divided.write(tmp_path / "divided")


def test_a_folder_made_by_hand(tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    texts = pa.table({"id": ["d", "e"], "text": ["document", " "]})
    pq.write_table(texts, folder / "corpus.parquet")
    pq.write_table(pa.table({"id": ["q"], "text": ["question"]}), folder / "queries.parquet")
    with pytest.raises(DataError, match=r"has no relevant_docs\.parquet"):
        RetrievalDataset.read(folder)
    pq.write_table(pa.table({"query_id": ["q"], "documents": [["d", "zz"]]}), folder / "relevant_docs.parquet")
    with pytest.raises(DataError, match=r"unknown column 'document_ids'; did you mean 'documents'\?"):
        RetrievalDataset.read(folder)
    pq.write_table(pa.table({"query_id": ["q"], "document_ids": [["d", "zz"]]}), folder / "relevant_docs.parquet")
    with pytest.raises(DataError) as caught:
        RetrievalDataset.read(folder)
    assert "corpus['e']: the text is empty" in str(caught.value)
    assert "the document id 'zz' isn't in corpus" in str(caught.value)
    usable = read_usable(folder)
    assert {"empty-documents", "unknown-documents"} <= {finding.code for finding in check_dataset(usable.dataset)}


def test_broken_tables(tmp_path, sample):
    sample.write(tmp_path / "folder")
    table = tmp_path / "folder" / "corpus.parquet"
    whole = table.read_bytes()
    table.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"corpus\.parquet can't be read as Parquet"):
        RetrievalDataset.read(tmp_path / "folder")
    pq.write_table(pa.table({"id": [1, 2], "text": ["a", "b"]}), table)
    with pytest.raises(DataError, match="holds int64, expected texts"):
        RetrievalDataset.read(tmp_path / "folder")
    pq.write_table(pa.table({"id": ["a", "a"], "text": ["a", "b"]}), table)
    with pytest.raises(DataError, match="the id 'a' appears twice"):
        RetrievalDataset.read(tmp_path / "folder").corpus["a"]


def test_nothing_half_written_stays(tmp_path, sample):
    torn = replace(sample, corpus={**sample.corpus, "torn": "half \ud800"})
    with pytest.raises(DataError, match="corpus: 'torn' holds half of a surrogate pair"):
        torn.write(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StorageError):
        sample.write(tmp_path / "other")
    assert (tmp_path / "other" / "notes.txt").read_text(encoding="utf-8") == "mine"
