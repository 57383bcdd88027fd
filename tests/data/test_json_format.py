from __future__ import annotations

import json

import pytest

from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import DataError, OptionsError

GOOD = {
    "queries": {"q": "question"},
    "corpus": {"d": "document", "e": "other"},
    "relevant_docs": {"q": ["d"]},
    "negative_docs": {"q": ["e"]},
    "reference_answers": {"q": None},
    "queries_split": {"train": [], "test": ["q"]},
}


def save(path, fields):
    path.write_text(json.dumps(fields, ensure_ascii=False), encoding="utf-8")
    return path


def test_round_trip_loses_nothing(tmp_path, sample_fields):
    fields = sample_fields | {"made_by": {"tool": "x"}, "版本": 2}
    dataset = RetrievalDataset.read(save(tmp_path / "a.json", fields))
    dataset.write(tmp_path / "b.json")
    assert json.loads((tmp_path / "b.json").read_text(encoding="utf-8")) == fields
    assert RetrievalDataset.read(tmp_path / "b.json").content_hash() == dataset.content_hash()


def test_optional_fields_may_be_missing(tmp_path):
    fields = {name: GOOD[name] for name in ("queries", "corpus", "relevant_docs")}
    dataset = RetrievalDataset.read(save(tmp_path / "a.json", fields))
    assert dataset.queries_split == {}
    assert dataset.split_query_ids("all") == ["q"]


def test_all_faults_are_reported_with_field_and_id(tmp_path):
    bad = {
        "queries": {"q": "question", "r": "  ", "s": 5},
        "corpus": {"d": "document", "e": ""},
        "relevant_docs": {"q": ["d", "zz"], "nobody": ["d"], "s": "d"},
        "negative_docs": {"q": [7]},
        "reference_answers": {"q": ["x"]},
        "queries_split": {"train": "q", "val": ["ghost"]},
    }
    with pytest.raises(DataError) as caught:
        RetrievalDataset.read(save(tmp_path / "bad.json", bad))
    message = str(caught.value)
    for fault in (
        "queries['r']: the text is empty",
        "queries['s']: expected a text, found a number",
        "corpus['e']: the text is empty",
        "relevant_docs['q']: the document id 'zz' isn't in corpus",
        "relevant_docs: the query id 'nobody' isn't in queries",
        "relevant_docs['s']: expected a list of document ids, found a text",
        "negative_docs['q']: expected document ids, found a number 7",
        "reference_answers['q']: expected a text, found a list",
        "queries_split['train']: expected a list of query ids, found a text",
        "queries_split['val']: the query id 'ghost' isn't in queries",
    ):
        assert fault in message
    assert "10 faults" in message
    assert "bad.json" in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"queries": {"q": "x"},\n "corpus": }', "line 2, column 12"),
        (b'{"queries": {"q": "x"', "broken JSON"),
        (b'{"queries": "\xc4\xe3"}', "not UTF-8: byte 0xc4 at offset 13"),
        (b"[1, 2]", "expected a JSON object, found a list"),
        (b"", "broken JSON"),
        (b'{"queries": {"q": "a", "q": "b"}, "corpus": {}, "relevant_docs": {}}', "'q' appears twice"),
        (b'{"queries": {}, "relevant_docs": {}}', "corpus: missing"),
        (b'{"queries": {}, "corpus": {}, "relevant_docs": {}}', "corpus: it has no documents"),
    ],
)
def test_broken_files(tmp_path, content, expected):
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        RetrievalDataset.read(path)
    assert expected in str(caught.value)


def test_a_byte_order_mark_is_fine(tmp_path):
    path = tmp_path / "bom.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    assert RetrievalDataset.read(path).queries == {"q": "question"}


def test_unknown_and_empty_splits(sample):
    with pytest.raises(OptionsError, match=r"unknown split 'tset'; did you mean 'test'\?"):
        sample.split_query_ids("tset")
    empty = RetrievalDataset(queries={"q": "x"}, corpus={"d": "y"}, relevant_docs={}, queries_split={"val": []})
    with pytest.raises(DataError, match="the split 'val' has no queries"):
        empty.split_query_ids("val")


def test_grades_and_lists_mean_the_same(sample):
    assert sample.grades("q01") == {"en-kettle": 2, "zh-kettle": 1}
    assert sample.grades("q02") == {"en-bread": 1.0}
    assert sample.positives("q13") == ["zh-kettle", "en-kettle"]
