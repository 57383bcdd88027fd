"""What a folder of tables does, whether they are Parquet or Arrow files."""

from __future__ import annotations

import copy
import json
import multiprocessing
import random
import subprocess
import sys
from dataclasses import replace

import pyarrow as pa
import pytest

from embedtune.data.arrow_table import ArrowTable
from embedtune.data.checks import check_dataset
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.parquet_table import ParquetTable
from embedtune.data.splits import SplitOptions, split_dataset
from embedtune.data.table_texts import TableTexts
from embedtune.data.usable import read_usable
from embedtune.errors import DataError, StorageError


@pytest.fixture(params=[ParquetTable, ArrowTable], ids=["parquet", "arrow"])
def kind(request):
    return request.param


@pytest.fixture
def folder(tmp_path, kind):
    return tmp_path / {ParquetTable: "folder", ArrowTable: "folder.arrow"}[kind]


def save(kind, path, table):
    with kind.writer(path, table.schema) as writer:
        writer.write_table(table)


def test_round_trip_loses_nothing(tmp_path, sample, folder, kind):
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
    odd.write(folder)
    again = RetrievalDataset.read(folder)
    assert again == odd
    assert again.content_hash() == odd.content_hash()
    again.write(tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text(encoding="utf-8")) == odd.to_fields()
    assert again.grades("q01") == {"en-kettle": 2, "zh-kettle": 0.5, "en-tea": 0}


def test_reopened_in_a_new_process(tmp_path, sample, folder, kind):
    sample.write(folder)
    program = "import sys; from embedtune import RetrievalDataset as R; print(R.read(sys.argv[1]).content_hash())"
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == sample.content_hash()


def test_texts_stay_on_disk_until_they_are_asked_for(tmp_path, folder, kind):
    corpus = {f"d{i}": f"{i} " + "x" * 5000 for i in range(2000)}
    RetrievalDataset({"q": "?"}, corpus, {"q": ["d7"]}).write(folder)
    texts = RetrievalDataset.read(folder).corpus
    assert isinstance(texts, TableTexts)
    assert isinstance(texts._table, kind)
    assert len(texts) == 2000
    assert texts._texts.cache_info().currsize == 0
    assert "_row_of" not in vars(texts)
    assert (texts["d1999"], texts["d0"], texts["d1"]) == (corpus["d1999"], corpus["d0"], corpus["d1"])
    assert texts._texts.cache_info().currsize == 2
    assert list(texts) == list(corpus)
    assert dict(texts) == corpus
    assert (list(texts.values()), list(texts.items())) == (list(corpus.values()), list(corpus.items()))
    assert "d2000" not in texts
    assert copy.copy(texts) == corpus
    with pytest.raises(KeyError):
        texts["nobody"]


def test_split_and_check_take_a_folder(tmp_path, sample, folder, kind):
    sample.write(folder)
    opened = RetrievalDataset.read(folder)
    assert check_dataset(opened) == check_dataset(sample)
    options = SplitOptions(val=0.2, test=0.2)
    divided = split_dataset(opened, options).dataset
    divided.write(tmp_path / "divided")
    assert RetrievalDataset.read(tmp_path / "divided") == split_dataset(sample, options).dataset
    divided.write(tmp_path / "divided")


def test_a_folder_made_by_hand(tmp_path, folder, kind):
    folder.mkdir()
    texts = pa.table({"id": ["d", "e"], "text": ["document", " "]})
    save(kind, folder / f"corpus{kind.suffix}", texts)
    save(kind, folder / f"queries{kind.suffix}", pa.table({"id": ["q"], "text": ["question"]}))
    with pytest.raises(DataError, match=rf"has no relevant_docs\{kind.suffix}"):
        RetrievalDataset.read(folder)
    save(kind, folder / f"relevant_docs{kind.suffix}", pa.table({"query_id": ["q"], "documents": [["d", "zz"]]}))
    with pytest.raises(DataError, match=r"unknown column 'document_ids'; did you mean 'documents'\?"):
        RetrievalDataset.read(folder)
    save(kind, folder / f"relevant_docs{kind.suffix}", pa.table({"query_id": ["q"], "document_ids": [["d", "zz"]]}))
    with pytest.raises(DataError) as caught:
        RetrievalDataset.read(folder)
    assert "corpus['e']: the text is empty" in str(caught.value)
    assert "the document id 'zz' isn't in corpus" in str(caught.value)
    usable = read_usable(folder)
    assert {"empty-documents", "unknown-documents"} <= {finding.code for finding in check_dataset(usable.dataset)}


def test_broken_tables(tmp_path, sample, folder, kind):
    sample.write(folder)
    table = folder / f"corpus{kind.suffix}"
    whole = table.read_bytes()
    table.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=rf"corpus\{kind.suffix} can't be read as {kind.form}"):
        RetrievalDataset.read(folder)
    save(kind, table, pa.table({"id": [1, 2], "text": ["a", "b"]}))
    with pytest.raises(DataError, match="holds int64, expected texts"):
        RetrievalDataset.read(folder)
    save(kind, table, pa.table({"id": ["a", "a"], "text": ["a", "b"]}))
    with pytest.raises(DataError, match="the id 'a' appears twice"):
        RetrievalDataset.read(folder).corpus["a"]


def test_damage_inside_a_table_is_told(folder, kind, sample):
    sample.write(folder)
    chooser, refusals = random.Random(0), []
    for turn in range(80):
        table = folder / f"{('corpus', 'relevant_docs')[turn % 2]}{kind.suffix}"
        whole = table.read_bytes()
        damaged = bytearray(whole)
        start = chooser.randrange(len(whole) - 8)
        damaged[start : start + 8] = b"\xff" * 8
        table.write_bytes(damaged)
        refusals.append(_refusal(folder))
        table.write_bytes(whole)
        assert refusals[-1] is None or str(table) in refusals[-1]
    assert len([refusal for refusal in refusals if refusal]) > 20
    assert _refusal(folder) is None


def _refusal(folder):
    try:
        texts = RetrievalDataset.read(folder).corpus
        assert len(dict(texts)) == len([texts[text_id] for text_id in texts])
    except DataError as error:
        return str(error)


def test_damaged_judgements_and_other_fields_are_told(folder, kind, sample):
    replace(sample, extra={"made_by": "x"}).write(folder)
    table, extra = folder / f"relevant_docs{kind.suffix}", folder / "extra.json"
    whole = table.read_bytes()
    table.write_bytes(
        whole.replace(b"en-kettle", b"en-\xff\xfettle") if kind is ArrowTable else whole[:40] + whole[60:]
    )
    with pytest.raises(DataError, match=rf"relevant_docs\{kind.suffix} can't be read as {kind.form}"):
        RetrievalDataset.read(folder)
    table.write_bytes(whole)
    extra.write_text('{"made_by', encoding="utf-8")
    with pytest.raises(DataError, match="broken JSON"):
        RetrievalDataset.read(folder)


def _text_of(texts, text_id):
    return texts[text_id]


def test_texts_travel_to_other_processes_by_their_path(folder, kind, sample):
    sample.write(folder)
    texts = RetrievalDataset.read(folder).corpus
    text_id = list(sample.corpus)[-1]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_text_of, (texts, text_id)) == sample.corpus[text_id]


def test_open_texts_outlive_a_dataset_written_over_them(folder, kind, sample):
    sample.write(folder)
    opened = RetrievalDataset.read(folder)
    replace(opened, corpus={**opened.corpus, "new": "新的文档"}).write(folder)
    assert dict(opened.corpus) == sample.corpus
    assert RetrievalDataset.read(folder).corpus["new"] == "新的文档"


def test_two_kinds_in_one_folder_are_refused(tmp_path, sample):
    sample.write(tmp_path / "both")
    save(ArrowTable, tmp_path / "both" / "corpus.arrow", pa.table({"id": ["d"], "text": ["document"]}))
    with pytest.raises(DataError, match="tables of both kinds"):
        RetrievalDataset.read(tmp_path / "both")


def test_the_datasets_packages_stream_is_not_taken(tmp_path, sample):
    sample.write(tmp_path / "folder.arrow")
    table = pa.table({"id": ["d"], "text": ["document"]})
    with pa.ipc.new_stream(str(tmp_path / "folder.arrow" / "corpus.arrow"), table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(DataError, match=r"corpus\.arrow can't be read as Arrow"):
        RetrievalDataset.read(tmp_path / "folder.arrow")


def test_nothing_half_written_stays(tmp_path, sample, folder, kind):
    torn = replace(sample, corpus={**sample.corpus, "torn": "half \ud800"})
    with pytest.raises(DataError, match="corpus: 'torn' holds half of a surrogate pair"):
        torn.write(folder)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StorageError):
        sample.write(tmp_path / "other")
    assert (tmp_path / "other" / "notes.txt").read_text(encoding="utf-8") == "mine"
