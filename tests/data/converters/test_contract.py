"""What every converter does, whatever it reads."""

from __future__ import annotations

import contextlib
import random
import shutil

import pytest
from tests.data.converters.layouts import CORPUS, JUDGED, LAYOUTS, QUERIES

from embedtune.data.converters import CONVERTERS, convert
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import EmbedtuneError, OptionsError
from embedtune.options import Options

WITHOUT_SOURCE = {"docstrings", "infgrad"}
LABELLED = sorted(set(LAYOUTS) - {"docstrings", "documents"})


def test_every_converter_has_a_sample():
    assert CONVERTERS.names() == sorted(LAYOUTS)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_gives_a_valid_dataset_that_survives_writing(name, tmp_path):
    source, values = LAYOUTS[name](tmp_path / "source")
    dataset = convert(name, source, **values)
    dataset.write(tmp_path / "out" / "dataset.json")
    assert RetrievalDataset.read(tmp_path / "out" / "dataset.json") == dataset
    assert convert(name, str(source), **values) == dataset


@pytest.mark.parametrize("name", LABELLED)
def test_keeps_texts_and_judgements_as_they_are(name, tmp_path):
    source, values = LAYOUTS[name](tmp_path / "source")
    dataset = convert(name, source, **values)
    assert set(dataset.queries.values()) <= set(QUERIES.values())
    assert set(dataset.corpus.values()) <= set(CORPUS.values())
    id_of = {text: query_id for query_id, text in QUERIES.items()}
    document_id_of = {text: document_id for document_id, text in CORPUS.items()}
    for query_id, text in dataset.queries.items():
        found = {document_id_of[dataset.corpus[document_id]] for document_id in dataset.positives(query_id)}
        relevant = {document_id for document_id, grade in JUDGED[id_of[text]].items() if grade}
        assert found
        assert found <= relevant
    assert set(dataset.queries_split) >= {"train"} or name in ("airbench",)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_options_are_typed_and_described(name):
    options = CONVERTERS.load(name).OPTIONS
    assert issubclass(options, Options)
    assert all(field.description for field in options.model_fields.values())
    with pytest.raises(OptionsError, match="unknown option 'nonsense'"):
        options(nonsense=1)


@pytest.mark.parametrize("name", sorted(set(LAYOUTS) - WITHOUT_SOURCE))
def test_a_source_has_to_be_there(name, tmp_path):
    with pytest.raises(EmbedtuneError, match=r"no source was named|no task was named"):
        convert(name, None)
    with pytest.raises(EmbedtuneError, match=r"there is no|isn't wholly in the local Hub cache"):
        convert(name, tmp_path / "nothing" / "here")


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_an_empty_folder_is_told(name, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    if name == "airbench":
        (tmp_path / "qrels-empty-dev").mkdir()
    with pytest.raises(EmbedtuneError, match=r"empty|found 0|unknown part|no file|no .json file|there is no|nothing"):
        convert(name, folder)


BROKEN_AT = {
    "beir": "corpus.jsonl",
    "mteb": "queries.jsonl",
    "infgrad": "data.jsonl",
    "airbench": "AIR-Bench_24.05/default/corpus.jsonl",
    "squad": "cmrc2018_dev.json",
    "flagembedding": "train.jsonl",
    "sentence-transformers": "test.jsonl",
    "llamaindex": "val_dataset.json",
    "trec": "docs.tsv",
    "pairs": "",
    "embedtune": "",
}


@pytest.mark.parametrize("name", sorted(BROKEN_AT))
def test_bytes_that_are_not_utf8_are_refused_with_their_offset(name, tmp_path):
    source, values = LAYOUTS[name](tmp_path / "source")
    path = source / BROKEN_AT[name]
    good = path.read_bytes()
    place = max(good.find(text.encode()) for text in ("水垢", "霉", "rice"))
    path.write_bytes(good[:place] + "除".encode("gb18030") + good[place:])
    with pytest.raises(EmbedtuneError) as caught:
        convert(name, source, **values)
    assert f"byte 0xb3 at offset {place}" in str(caught.value)
    assert path.name in str(caught.value)
    assert "GB18030" in str(caught.value)


@pytest.mark.parametrize("name", sorted(BROKEN_AT))
def test_a_truncated_file_is_refused_with_its_name_and_line(name, tmp_path):
    source, values = LAYOUTS[name](tmp_path / "source")
    path = source / BROKEN_AT[name]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][: 2 if name in ("trec", "pairs") else len(lines[-1]) // 4 * 2])
    with pytest.raises(EmbedtuneError, match=r"cut off|broken JSON|not UTF-8") as caught:
        convert(name, source, **values)
    assert f"{path.name}:{len(lines)}" in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(BROKEN_AT) - {"embedtune", "trec"}))
def test_wrong_columns_are_told_with_those_found_and_the_nearest(name, tmp_path):
    wrong = {
        "beir": ('"text"', '"txt"'),
        "mteb": ('"_id"', '"_ids"'),
        "infgrad": ('"Positive Document"', '"Positive Documents"'),
        "airbench": ('"text"', '"texts"'),
        "squad": ('"context"', '"contexts"'),
        "flagembedding": ('"pos"', '"poss"'),
        "sentence-transformers": ('"sentence2"', '"positives"'),
        "llamaindex": ('"relevant_docs"', '"relevant_doc"'),
        "pairs": ("问题", "问题列"),
    }
    source, values = LAYOUTS[name](tmp_path / "source")
    path = source / BROKEN_AT[name]
    old, new = wrong[name]
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(EmbedtuneError, match="there is no column") as caught:
        convert(name, source, **values)
    assert f"did you mean '{new.strip(chr(34))}'" in str(caught.value)
    assert path.name in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(LAYOUTS) - {"docstrings"}))
def test_a_damaged_source_is_read_or_refused_but_never_a_crash(name, tmp_path):
    source, values = LAYOUTS[name](tmp_path / "source")
    files = sorted(path for path in (tmp_path / "source").rglob("*") if path.is_file())
    generator = random.Random(name)
    for _ in range(20):
        path = generator.choice(files)
        whole = path.read_bytes()
        path.write_bytes(damaged(whole, generator))
        with contextlib.suppress(EmbedtuneError):
            convert(name, source, **values)
        path.write_bytes(whole)


def damaged(content, generator):
    """Returns the bytes cut off, with some changed, or with some of JSON's signs put in."""
    place = generator.randrange(len(content))
    how = generator.randrange(3)
    if how == 0:
        return content[:place]
    if how == 1:
        return bytes(generator.randrange(256) if generator.random() < 0.01 else byte for byte in content)
    return content[:place] + bytes(generator.choices(b'{}[],:"\t\n0 -', k=3)) + content[place:]


def test_all_layouts_give_the_same_graded_judgements(tmp_path):
    datasets = [convert(name, LAYOUTS[name](tmp_path / name)[0]) for name in ("beir", "mteb", "trec")]
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "beir")
    datasets.append(convert("beir", tmp_path / "packed.zip"))
    for dataset in datasets:
        assert dataset.qrels(list(QUERIES)) == JUDGED
        assert dataset.corpus == CORPUS
        assert dataset.queries_split == {"train": ["q1", "q2"], "val": ["q3"], "test": ["q4"]}
