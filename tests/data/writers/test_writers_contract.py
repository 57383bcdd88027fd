"""What every writer does: a round trip keeps all that its layout can hold, and says what it can't."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from embedtune.data.converters import convert
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.writers import WRITERS, write_dataset
from embedtune.data.writing import WriterOptions
from embedtune.errors import DataError, OptionsError, StorageError

READER = {
    "json": "embedtune",
    "parquet": "embedtune",
    "arrow": "embedtune",
    "beir": "beir",
    "flagembedding": "flagembedding",
    "triplets": "sentence-transformers",
}
BY_ID = ("json", "parquet", "arrow", "beir")
BY_TEXT = ("flagembedding", "triplets")


@pytest.fixture
def dataset():
    return RetrievalDataset(
        queries={"q1": "怎样除去水壶里的水垢？", "q2": "How?\tWith a tab", "q3": "面包\n发霉", "q4": "rice"},
        corpus={"d1": "倒入白醋。", "d2": 'Boil "vinegar"', "d3": "通风，干燥", "d4": "four days", "d5": "unused"},
        relevant_docs={"q1": ["d1", "d2"], "q2": ["d2"], "q3": ["d3"], "q4": ["d4"]},
        negative_docs={"q1": ["d3", "d4"], "q2": ["d4"], "q4": ["d1", "d2", "d3"]},
        reference_answers={"q1": "白醋"},
        queries_split={"train": ["q1", "q2"], "val": ["q3"], "test": ["q4"]},
        extra={"made_by": "测试"},
    )


def path_for(name: str, folder: Path) -> Path:
    return folder / ("dataset.json" if name == "json" else f"dataset-{name}")


def there_and_back(dataset, name, folder):
    losses = write_dataset(dataset, path_for(name, folder), name)
    return convert(READER[name], path_for(name, folder)), losses


def by_text(dataset):
    """Returns (split, query) → relevant and negative texts: all that a layout without ids can hold."""
    split_of = {q: split for split, ids in dataset.queries_split.items() for q in ids}
    return {
        (split_of.get(q), text): (
            sorted(dataset.corpus[d] for d in dataset.positives(q)),
            sorted(dataset.corpus[d] for d in dataset.negative_docs.get(q, [])),
        )
        for q, text in dataset.queries.items()
        if dataset.positives(q)
    }


def test_every_writer_has_a_reader():
    assert WRITERS.names() == sorted(READER)


@pytest.mark.parametrize("name", sorted(READER))
def test_a_round_trip_keeps_what_the_layout_holds(name, dataset, tmp_path):
    again, losses = there_and_back(dataset, name, tmp_path)
    if name in ("json", "parquet", "arrow"):
        assert again.to_fields() == dataset.to_fields()
        assert losses == []
    if name in BY_ID:
        assert dict(again.queries) == dataset.queries
        assert dict(again.corpus) == dataset.corpus
        assert again.qrels(list(dataset.queries)) == dataset.qrels(list(dataset.queries))
        assert dict(again.queries_split) == dataset.queries_split
    assert by_text(again) == by_text(dataset) or name == "beir"


@pytest.mark.parametrize("name", BY_ID)
def test_grades_survive(name, dataset, tmp_path):
    graded = replace(dataset, relevant_docs={"q1": {"d1": 3, "d2": 0}, "q2": {"d2": 0.5}, "q4": {"d4": 1}})
    again, _ = there_and_back(graded, name, tmp_path)
    assert again.qrels(list(graded.queries)) == graded.qrels(list(graded.queries))


def test_what_beir_cannot_hold_is_said(dataset, tmp_path):
    _, losses = there_and_back(dataset, "beir", tmp_path)
    assert losses == [
        "6 negatives: a grade of 0 would say that somebody judged them",
        "1 reference answers",
        "the extra field 'made_by'",
    ]
    unsplit = replace(dataset, queries_split={}, negative_docs={}, reference_answers={}, extra={})
    again, losses = there_and_back(unsplit, "beir", tmp_path / "unsplit")
    assert losses == ["that there are no splits: all judgements are in qrels/test.tsv"]
    assert list(again.queries_split) == ["test"]


def test_beir_keeps_judgements_outside_the_splits_and_empty_splits(dataset, tmp_path):
    odd = replace(dataset, queries_split={"train": [], "held-out-test": ["q2"]})
    again, _ = there_and_back(odd, "beir", tmp_path)
    assert again.queries_split == odd.queries_split
    assert again.qrels(["q1", "q3"]) == odd.qrels(["q1", "q3"])


@pytest.mark.parametrize("name", BY_TEXT)
def test_what_texts_alone_cannot_hold_is_said(name, dataset, tmp_path):
    changed = replace(
        dataset,
        relevant_docs={"q1": {"d1": 3, "d2": 0}, "q2": ["d2"], "q3": [], "q4": ["d4"]},
        queries=dataset.queries | {"q5": "rice"},
        queries_split={"train": ["q1", "q2"], "extra": ["q3"], "test": ["q4", "q5"]},
    )
    _, losses = there_and_back(changed, name, tmp_path)
    assert losses == [
        "all ids: reading gives new ones",
        "1 documents that no query names",
        "2 queries without a relevant document",
        "1 queries' grades: every relevant document counts alike",
        "1 queries with the text of another: reading makes them one",
        "1 reference answers",
        "the split 'extra': reading knows only train, val, test",
        "the extra field 'made_by'",
    ]


def test_flagembedding_keeps_scores_and_prompts(dataset, tmp_path):
    extra = {"scores": {"q4": {"d4": 0.9, "d1": 0.2, "d2": 0.1, "d3": 0}}, "prompts": {"q1": "为这个句子"}}
    again, _ = there_and_back(replace(dataset, extra=extra), "flagembedding", tmp_path)
    (query_id,) = again.extra["scores"]
    assert {again.corpus[d]: score for d, score in again.extra["scores"][query_id].items()} == {
        "four days": 0.9,
        "倒入白醋。": 0.2,
        'Boil "vinegar"': 0.1,
        "通风，干燥": 0,
    }
    assert list(again.extra["prompts"].values()) == ["为这个句子"]


def test_triplets_load_with_sentence_transformers_own_loader(dataset, tmp_path):
    from datasets import load_dataset

    write_dataset(dataset, tmp_path / "out", "triplets")
    rows = load_dataset("json", data_files=str(tmp_path / "out" / "train.jsonl"), cache_dir=str(tmp_path / "cache"))
    assert rows["train"].column_names == ["anchor", "positive", "negative"]
    assert len(rows["train"]) == 3
    assert (tmp_path / "out" / "val.pairs.jsonl").exists()


@pytest.mark.parametrize("name", sorted(READER))
def test_nothing_is_overwritten_unasked(name, dataset, tmp_path):
    path = path_for(name, tmp_path)
    write_dataset(dataset, path, name)
    smaller = replace(dataset, extra={})
    with pytest.raises(StorageError, match="exists already"):
        write_dataset(smaller, path, name)
    write_dataset(smaller, path, name, WriterOptions(overwrite=True))
    assert "made_by" not in convert(READER[name], path).extra
    assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith(".")]


@pytest.mark.parametrize("name", sorted(set(READER) - {"json"}))
def test_a_folder_of_something_else_stays(name, dataset, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("meow")
    with pytest.raises(StorageError):
        write_dataset(dataset, tmp_path / "photos", name, WriterOptions(overwrite=True))
    assert (tmp_path / "photos" / "cat.jpg").read_text() == "meow"


@pytest.mark.parametrize("name", ["beir", "flagembedding", "triplets"])
def test_a_split_that_would_leave_the_folder_is_refused(name, dataset, tmp_path):
    outside = replace(dataset, queries_split={"../train": ["q1"]})
    with pytest.raises(DataError, match="can't be the name of a file"):
        write_dataset(outside, tmp_path / "out", name)
    assert list(tmp_path.iterdir()) == []


def test_ids_that_a_tsv_cannot_hold_are_refused(dataset, tmp_path):
    tabbed = replace(dataset, corpus=dataset.corpus | {"d\t9": "x"}, relevant_docs={"q1": ["d\t9"]})
    with pytest.raises(DataError, match=r"the id 'd\\t9' can't stand in a TSV"):
        write_dataset(tabbed, tmp_path / "out", "beir")


def test_unknown_writers_are_told(dataset, tmp_path):
    with pytest.raises(OptionsError, match="did you mean 'triplets'"):
        write_dataset(dataset, tmp_path / "out", "triplet")


@pytest.mark.parametrize("collection", ["cmrc2018", "rgb-zh-news"])
def test_real_collections_come_back_whole(collection, shared_data, tmp_path):
    dataset = RetrievalDataset.read(shared_data / collection / "dataset.json")
    beir, _ = there_and_back(dataset, "beir", tmp_path)
    assert beir.qrels(list(dataset.queries)) == dataset.qrels(list(dataset.queries))
    assert (beir.queries, beir.corpus) == (dataset.queries, dataset.corpus)
    texts, _ = there_and_back(dataset, "flagembedding", tmp_path)
    assert by_text(texts).keys() == by_text(dataset).keys()
