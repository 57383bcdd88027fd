"""What is particular to one layout."""

from __future__ import annotations

import json
import stat
import zipfile

import pytest
from tests.data.converters.layouts import CORPUS, LAYOUTS, QUERIES, save, save_csv, save_lines

from embedtune.data.converters import convert
from embedtune.errors import DataError, OptionsError


def test_infgrad_keeps_every_document_and_negative_of_a_repeated_query(tmp_path):
    dataset = convert("infgrad", LAYOUTS["infgrad"](tmp_path)[0], val_fraction=0.25)
    texts = {text: query_id for query_id, text in dataset.queries.items()}
    query_id = texts[QUERIES["q1"]]
    assert len(dataset.queries) == 4
    assert [dataset.corpus[d] for d in dataset.positives(query_id)] == [CORPUS["d1"], CORPUS["d2"]]
    assert [dataset.corpus[d] for d in dataset.negative_docs[query_id]] == [CORPUS["d5"], CORPUS["d3"]]
    assert {split: len(ids) for split, ids in dataset.queries_split.items()} == {"val": 1, "train": 3}
    assert convert("infgrad", tmp_path, val_fraction=0.25, seed=1).queries_split != dataset.queries_split


def test_a_document_that_another_row_calls_relevant_is_no_negative(tmp_path):
    rows = [
        {"Query": "问", "Positive Document": "甲", "Hard Negative Document": "乙"},
        {"Query": "问", "Positive Document": "乙", "Hard Negative Document": "丙"},
    ]
    save_lines(tmp_path / "train.jsonl", rows)
    dataset = convert("infgrad", tmp_path, val_fraction=0)
    assert dataset.relevant_docs == {"q1": ["d1", "d2"]}
    assert dataset.negative_docs == {"q1": ["d3"]}


def test_airbench_zero_is_a_negative_and_all_queries_are_val(tmp_path):
    dataset = convert("airbench", LAYOUTS["airbench"](tmp_path)[0])
    assert dataset.queries_split == {"train": [], "val": ["q1", "q2", "q3", "q4"]}
    assert dataset.relevant_docs["q3"] == ["d3"]
    assert dataset.negative_docs == {"q3": ["d5"]}


def test_airbench_long_document_parts_and_the_older_release(tmp_path):
    task, release = tmp_path / "long-doc_arxiv_en", "AIR-Bench_24.04"
    for part in ("gpt3", "llama2"):
        save_lines(task / release / part / "corpus.jsonl", [{"id": "d", "text": f"About {part}."}])
        save_lines(task / release / part / "queries.jsonl", [{"id": "q", "text": f"What is {part}?"}])
        save_lines(
            tmp_path / "qrels-long-doc_arxiv_en-dev" / release / f"qrels_{part}.jsonl",
            [{"qid": "q", "docid": "d", "relevance": 1}],
        )
    dataset = convert("airbench", task, version="24.04", part="llama2")
    assert dataset.corpus == {"d": "About llama2."}
    with pytest.raises(DataError, match=r"unknown part of AIR-Bench_24.04: 'llama'; did you mean 'llama2'"):
        convert("airbench", task, version="24.04", part="llama")
    with pytest.raises(OptionsError, match="unknown value for option 'version'"):
        convert("airbench", task, version="24.06")


def test_airbench_relevance_other_than_0_and_1_is_a_fault(tmp_path):
    task, _ = LAYOUTS["airbench"](tmp_path)
    path = tmp_path / "qrels-qa_household_zh-dev" / "AIR-Bench_24.05" / "default" / "qrels_dev.jsonl"
    path.write_text(path.read_text().replace('"relevance": 1', '"relevance": 2', 1))
    with pytest.raises(DataError, match=r"qrels_dev.jsonl:1: relevance 2, expected 0 or 1"):
        convert("airbench", task)


def test_beir_joins_titles_and_reads_empty_titles_as_none(tmp_path):
    LAYOUTS["beir"](tmp_path)
    save_lines(
        tmp_path / "corpus.jsonl",
        [{"_id": i, "title": "标题" if i == "d1" else "", "text": t} for i, t in CORPUS.items()],
    )
    dataset = convert("beir", tmp_path)
    assert dataset.corpus["d1"] == f"标题 {CORPUS['d1']}"
    assert dataset.corpus["d2"] == CORPUS["d2"]


def test_all_faults_of_a_source_are_told_at_once(tmp_path):
    LAYOUTS["beir"](tmp_path)
    with (tmp_path / "corpus.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"_id": "d1", "text": "something else"}\n{"_id": "d7", "text": "  "}\n{"_id": "d2", "text": ')
        file.write(json.dumps(CORPUS["d2"]) + "}\n")
    with pytest.raises(DataError) as caught:
        convert("beir", tmp_path)
    message = str(caught.value)
    assert "the source has 2 faults" in message
    assert "corpus.jsonl:6: the document id 'd1' comes again with a different text" in message
    assert "corpus.jsonl:7: the document 'd7' has no text" in message


def test_unknown_ids_are_refused_or_left_out_when_asked(tmp_path):
    LAYOUTS["beir"](tmp_path)
    with (tmp_path / "qrels" / "test.tsv").open("a") as file:
        file.write("q4\tghost\t1\nnobody\td1\t1\n")
    save_lines(tmp_path / "queries.jsonl", [{"_id": i, "text": "" if i == "q3" else t} for i, t in QUERIES.items()])
    with pytest.raises(DataError, match="the query 'q3' has no text"):
        convert("beir", tmp_path)
    dataset = convert("beir", tmp_path, skip_faulty=True)
    assert dataset.queries_split == {"train": ["q1", "q2"], "val": [], "test": ["q4"]}
    assert dataset.positives("q4") == ["d4"]
    save_lines(tmp_path / "queries.jsonl", [{"_id": i, "text": t} for i, t in QUERIES.items()])
    with pytest.raises(DataError) as caught:
        convert("beir", tmp_path)
    assert "the document id 'ghost' isn't in corpus" in str(caught.value)
    assert "the query id 'nobody' isn't in queries" in str(caught.value)
    assert "--skip-faulty" in str(caught.value)


def test_a_zip_in_a_zip_folder_is_entered_and_a_bad_row_named_after_the_zip(tmp_path):
    LAYOUTS["beir"](tmp_path / "scifact")
    with zipfile.ZipFile(tmp_path / "good.zip", "w") as archive:
        for path in sorted((tmp_path / "scifact").rglob("*")):
            archive.write(path, path.relative_to(tmp_path))
    assert convert("beir", tmp_path / "good.zip").corpus == CORPUS
    (tmp_path / "scifact" / "queries.jsonl").write_text('{"_id": "q1"}\n')
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        for path in sorted((tmp_path / "scifact").rglob("*")):
            archive.write(path, path.relative_to(tmp_path))
    with pytest.raises(DataError) as caught:
        convert("beir", tmp_path / "bad.zip")
    assert f"where: {tmp_path / 'bad.zip'}/scifact/queries.jsonl:1" in str(caught.value)


@pytest.mark.parametrize("name", ["../../evil.txt", "/etc/evil.txt", "..\\evil.txt", "C:\\evil.txt", "ok/../../evil"])
def test_a_zip_that_would_write_outside_is_refused_before_anything_is_unpacked(name, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("corpus.jsonl", "{}")
        archive.writestr(name, "evil")
    with pytest.raises(DataError, match="would write outside its folder"):
        convert("beir", tmp_path / "evil.zip")
    assert {path.name for path in tmp_path.rglob("*")} == {"tmp", "evil.zip"}


def test_links_bombs_and_broken_zips_are_refused(tmp_path):
    link = zipfile.ZipInfo("corpus.jsonl")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="would write outside its folder"):
        convert("beir", tmp_path / "link.zip")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("corpus.jsonl", b"\0" * 120_000_000)
    with pytest.raises(DataError, match="would unpack from"):
        convert("beir", tmp_path / "bomb.zip")
    whole = (tmp_path / "bomb.zip").read_bytes()
    (tmp_path / "half.zip").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.zip").write_text("not a zip")
    for name in ("half.zip", "text.zip"):
        with pytest.raises(DataError, match="not a whole zip file"):
            convert("beir", tmp_path / name)


def test_squad_answers_paragraphs_and_unanswerable_questions(tmp_path):
    article = {
        "title": "t",
        "paragraphs": [
            {
                "context": "《战国无双3》由光荣和ω-force开发。",
                "qas": [
                    {"id": "a", "question": "谁开发？", "answers": {"text": "光荣和ω-force", "answer_start": 8}},
                    {"id": "b", "question": "何时？", "answers": [], "is_impossible": True},
                ],
            },
            {
                "context": "《战国无双3》由光荣和ω-force开发。",
                "qas": [{"id": 3, "question": "?", "answers": [{"text": "光荣"}]}],
            },
        ],
    }
    path = save(tmp_path / "x.json", json.dumps({"data": [article]}))
    dataset = convert("squad", path, split="test")
    assert len(dataset.corpus) == 1
    assert dataset.reference_answers == {"a": "光荣和ω-force", "3": "光荣"}
    assert dataset.queries_split == {"test": ["a", "3"]}
    save(path, json.dumps({"data": [{"title": "t", "paragraph": []}]}))
    with pytest.raises(DataError, match=r"no column 'paragraphs'; did you mean 'paragraph'"):
        convert("squad", path)


def test_sentence_transformers_scores_lists_and_columns(tmp_path):
    save_lines(
        tmp_path / "train.jsonl",
        [
            {"sentence1": "a", "sentence2": "x", "label": 1},
            {"sentence1": "a", "sentence2": "y", "label": 0},
            {"query": "b", "docs": ["x", "y", "z"], "labels": [0.9, 0.6, 0.1]},
            {"anchor": "c", "positive": "x", "negative": ["y", "z"]},
            {"query": "d", "positive": "x", "negative_1": "z", "score": [3.1, 0.2]},
        ],
    )
    dataset = convert("sentence-transformers", tmp_path)
    text_of = dataset.corpus
    graded = {dataset.queries[q]: {text_of[d]: g for d, g in dataset.grades(q).items()} for q in dataset.queries}
    negatives = {dataset.queries[q]: [text_of[d] for d in ids] for q, ids in dataset.negative_docs.items()}
    assert graded == {"a": {"x": 1}, "b": {"x": 0.9, "y": 0.6}, "c": {"x": 1}, "d": {"x": 1}}
    assert negatives == {"a": ["y"], "b": ["z"], "c": ["y", "z"], "d": ["z"]}
    named = save_csv(tmp_path / "named.csv", [{"frage": "f", "antwort": "a"}])
    with pytest.raises(DataError, match="there is no column 'anchor'"):
        convert("sentence-transformers", named)
    dataset = convert("sentence-transformers", named, anchor_column="frage", positive_column="antwort")
    assert dataset.queries == {"q1": "f"}


def test_flagembedding_scores_have_to_fit(tmp_path):
    path = save_lines(tmp_path / "train.jsonl", [{"query": "q", "pos": ["a", "b"], "neg": [], "pos_scores": [1]}])
    with pytest.raises(DataError, match="expected 2 scores, one a document, found 1 scores"):
        convert("flagembedding", path)
    dataset = convert("flagembedding", LAYOUTS["flagembedding"](tmp_path / "good")[0])
    assert dataset.extra["prompts"] == {"q1": "为这个句子生成表示以用于检索相关文章："}
    assert dataset.extra["scores"]["q1"]["d1"] == 0.9


def test_trec_titles_parts_and_msmarco_names(tmp_path):
    save(tmp_path / "collection.tsv", "7\thttp://x\t标题\t正文\n8\tonly text\n")
    save(tmp_path / "queries.dev.tsv", "1\tfirst query\n")
    save(tmp_path / "qrels.dev.tsv", "1\t0\t7\t1\n")
    dataset = convert("trec", tmp_path)
    assert dataset.corpus == {"7": "标题 正文", "8": "only text"}
    assert dataset.queries_split == {"val": ["1"]}
    (tmp_path / "queries.dev.tsv").unlink()
    topics = '<topics><topic number="1"><query>covid</query><question>what is it?</question></topic></topics>'
    save(tmp_path / "topics.xml", topics)
    assert convert("trec", tmp_path).queries == {"1": "covid"}
    assert convert("trec", tmp_path, topic_part="description").queries == {"1": "what is it?"}
    save(tmp_path / "qrels.dev.tsv", "1\t0\t7\n")
    with pytest.raises(DataError, match=r"expected query id, 0, document id and grade, found '1\\t0\\t7'"):
        convert("trec", tmp_path)


def test_pairs_with_ids_negatives_and_answers(tmp_path):
    rows = [
        {"qid": 1, "q": "问", "did": "A", "d": "甲", "bad": "乙", "a": "答"},
        {"qid": 1, "q": "问", "did": "B", "d": "丙", "bad": "", "a": ""},
    ]
    path = save_csv(tmp_path / "faq.csv", rows)
    columns = {"query_column": "q", "query_id_column": "qid", "document_column": "d", "document_id_column": "did"}
    dataset = convert("pairs", path, **columns, negative_column="bad", answer_column="a")
    assert dataset.relevant_docs == {"1": ["A", "B"]}
    assert [dataset.corpus[d] for d in dataset.negative_docs["1"]] == ["乙"]
    assert dataset.reference_answers == {"1": "答"}
    save_csv(path, [rows[0], rows[1] | {"did": "A"}])
    with pytest.raises(DataError, match="the document id 'A' comes again with a different text"):
        convert("pairs", path, **columns)


def test_the_same_text_in_two_splits_is_two_queries(tmp_path):
    for split in ("train", "test"):
        save_lines(tmp_path / f"{split}.jsonl", [{"query": "same", "document": f"for {split}"}])
    dataset = convert("pairs", tmp_path)
    assert dataset.queries == {"q1": "same", "q2": "same"}
    assert dataset.queries_split == {"test": ["q1"], "train": ["q2"]}


def test_mteb_picks_a_language(tmp_path):
    for language in ("zh", "en"):
        save_lines(tmp_path / language / "corpus.jsonl", [{"id": "d", "text": f"{language} document"}])
        save_lines(tmp_path / language / "queries.jsonl", [{"id": "q", "text": f"{language} query"}])
        row = {"query-id": "q", "corpus-id": "d", "score": 2}
        save_lines(tmp_path / language / "qrels.jsonl", [row])
    configs = "".join(
        f"- config_name: {language}-{part}\n  data_files:\n  - split: test\n    path: {language}/{part}.jsonl\n"
        for language in ("zh", "en")
        for part in ("corpus", "queries", "qrels")
    )
    save(tmp_path / "README.md", f"---\nconfigs:\n{configs}---\n")
    dataset = convert("mteb", tmp_path, config="zh")
    assert dataset.corpus == {"d": "zh document"}
    assert dataset.relevant_docs == {"q": {"d": 2}}
    with pytest.raises(DataError, match="name one with --config"):
        convert("mteb", tmp_path)


def test_broken_parquet_and_gzip_are_told(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(DataError, match="not a whole Parquet file"):
        convert("pairs", tmp_path / "train.parquet")
    (tmp_path / "train.jsonl.gz").write_bytes(b"\x1f\x8b\x08\x00")
    with pytest.raises(DataError, match="can't be read to its end"):
        convert("pairs", tmp_path / "train.jsonl.gz")


def test_files_about_the_data_are_no_rows(tmp_path):
    LAYOUTS["infgrad"](tmp_path)
    save(tmp_path / "dataset_infos.json", '{"default": {}}')
    save(tmp_path / ".cache" / "x.jsonl", "{}")
    assert len(convert("infgrad", tmp_path).queries) == 4


def test_json_lists_and_compressed_files_are_rows_too(tmp_path):
    import gzip

    save(tmp_path / "train.json", json.dumps([{"query": "a", "document": "x"}, {"query": "b", "document": "y"}]))
    with gzip.open(tmp_path / "test.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write('{"query": "c", "document": "x"}\n')
    dataset = convert("pairs", tmp_path)
    assert dataset.queries_split == {"test": ["q1"], "train": ["q2", "q3"]}
    save(tmp_path / "train.json", '[{"query": "a", "document": "x"}, 7]')
    with pytest.raises(DataError, match=r"expected a JSON object a row, found int\n  where: .*train.json, item 2"):
        convert("pairs", tmp_path)
