from __future__ import annotations

import pytest
from tests.data.converters.layouts import CORPUS, LAYOUTS, save, save_docx, save_lines, save_pdf

from embedtune.data.converters import convert
from embedtune.data.parsers import PARSERS
from embedtune.errors import DataError, MissingPackageError, OptionsError


@pytest.fixture
def folder(tmp_path):
    return LAYOUTS["documents"](tmp_path / "files")[0]


def test_every_chunk_knows_its_file_headings_and_span(folder):
    dataset = convert("documents", folder)
    sources = dataset.extra["document_sources"]
    assert sources.keys() == dataset.corpus.keys()
    assert {source["file"] for source in sources.values()} == {
        "说明/kettle.md", "shirt.txt", "page.htm", "kitchen.docx", "rice.pdf", "faq.jsonl"
    }  # fmt: skip
    for name in ("说明/kettle.md", "shirt.txt"):
        text = (folder / name).read_bytes().decode()
        for chunk_id, source in sources.items():
            if source["file"] == name:
                assert dataset.corpus[chunk_id] == text[source["start"] : source["end"]]
    assert sources["说明/kettle.md#1"]["headings"] == ["水壶 Kettle", "除垢"]
    assert sources["说明/kettle.md#2"]["headings"] == ["水壶 Kettle", "Rinsing"]
    assert dataset.corpus["shirt.txt#1"] == CORPUS["d5"]
    assert sources["faq.jsonl#水#1"]["headings"] == ["Kettle"]
    assert dataset.corpus["faq.jsonl#2#1"] == CORPUS["d2"]


def test_html_keeps_blocks_and_leaves_out_what_is_not_text(folder):
    dataset = convert("documents", folder)
    assert dataset.corpus["page.htm#1"] == f"家务\n\n{CORPUS['d3']}"
    assert dataset.corpus["page.htm#2"] == (
        f"Rice & more\n\n{CORPUS['d4']}\nNew line\n\none\n\ntwo\n\na\n  b\n\nx | y |"
    )
    assert dataset.extra["document_sources"]["page.htm#2"]["headings"] == ["家务", "Rice & more"]


def test_word_headings_and_tables(folder):
    dataset = convert("documents", folder)
    assert dataset.corpus["kitchen.docx#1"] == f"厨房 Kitchen\n\n{CORPUS['d3']}"
    assert dataset.corpus["kitchen.docx#2"] == "冰箱\n\n食物 | 天数\n米饭 | 4"
    assert dataset.extra["document_sources"]["kitchen.docx#2"]["headings"] == ["厨房 Kitchen", "冰箱"]


def test_pdf_lines_become_sentences_again(folder):
    text = convert("documents", folder).corpus["rice.pdf#1"]
    assert text == "Cooked rice keeps for about four days in a closed box.\n面包受潮后霉菌会生长。"


def test_pdf_bookmarks_are_headings_where_their_titles_stand_in_the_text(tmp_path):
    from pypdf import PdfWriter

    pages = [["第一章 厨房", "面包会发霉。", "1.1 Kettle", "Rinse it."], ["1.1 Kettle again?", "第二章 客厅", "擦灰。"]]
    save_pdf(tmp_path / "plain.pdf", pages)
    writer = PdfWriter(clone_from=tmp_path / "plain.pdf")
    chapter = writer.add_outline_item(title="第一章 厨房", page_number=0)
    writer.add_outline_item(title="1.1  Kettle", page_number=0, parent=chapter)
    writer.add_outline_item(title="nowhere in the text", page_number=1)
    writer.add_outline_item(title="第二章 客厅", page_number=1)
    (tmp_path / "book").mkdir()
    writer.write(tmp_path / "book" / "book.pdf")
    dataset = convert("documents", tmp_path / "book")
    sources = dataset.extra["document_sources"]
    assert [(sources[chunk_id]["headings"], text) for chunk_id, text in dataset.corpus.items()] == [
        (["第一章 厨房"], "第一章 厨房面包会发霉。"),
        (["第一章 厨房", "1.1 Kettle"], "1.1 Kettle Rinse it.\n\n1.1 Kettle again?"),
        (["第二章 客厅"], "第二章 客厅擦灰。"),
    ]


def test_chunks_are_measured_with_the_encoder(folder, tiny_model):
    save(folder / "long.txt", "水壶里的水垢，" * 60 + "。")
    dataset = convert("documents", folder, encoder=str(tiny_model))
    assert dataset.extra["chunking"]["max_length"] == 126
    assert dataset.extra["chunking"]["unit"] == "tokens"
    assert sum(chunk_id.startswith("long.txt") for chunk_id in dataset.corpus) >= 4
    shorter = convert("documents", folder, encoder=str(tiny_model), max_length=60, overlap=0)
    assert len(shorter.corpus) > len(dataset.corpus)
    with pytest.raises(OptionsError, match="the encoder reads 126 and drops the rest"):
        convert("documents", folder, encoder=str(tiny_model), max_length=500)


def test_all_unreadable_files_are_named_at_once_or_left_out(folder):
    save_pdf(folder / "scan.pdf", [[], []])
    (folder / "half.pdf").write_bytes((folder / "rice.pdf").read_bytes()[:200])
    (folder / "half.docx").write_bytes((folder / "kitchen.docx").read_bytes()[:900])
    (folder / "gbk.txt").write_bytes("水壶".encode("gb18030"))
    save(folder / "cut.jsonl", '{"text": "a"}\n{"text": "b')
    save_lines(folder / "columns.jsonl", [{"txet": "a"}])
    with pytest.raises(DataError) as caught:
        convert("documents", folder)
    message = str(caught.value)
    for expected in (
        "6 files can't be read",
        "the PDF has no text on its 2 pages, only pictures",
        "OCR",
        "not a whole PDF",
        "not a whole Word document",
        "not UTF-8: byte 0xba at offset 2",
        "cut.jsonl:2",
        "there is no column 'text'; did you mean 'txet'",
    ):
        assert expected in message
    assert "scan.pdf" in message
    dataset = convert("documents", folder, skip_faulty=True)
    assert "cut.jsonl#1#1" in dataset.corpus
    assert not any(chunk_id.startswith(("scan", "half", "gbk")) for chunk_id in dataset.corpus)


def test_folders_without_documents_are_told(tmp_path):
    save(tmp_path / "a" / "image.xyz", "x")
    with pytest.raises(DataError, match="there are no documents: found 1 other files"):
        convert("documents", tmp_path / "a")
    save(tmp_path / "b" / "blank.txt", " \n")
    with pytest.raises(DataError, match="the files hold no text"):
        convert("documents", tmp_path / "b")


def test_one_file_alone_and_hidden_files(tmp_path):
    save(tmp_path / ".git" / "x.txt", "hidden")
    save_docx(tmp_path / "one.docx")
    assert list(convert("documents", tmp_path / "one.docx").corpus) == ["one.docx#1", "one.docx#2"]
    assert list(convert("documents", tmp_path).corpus) == ["one.docx#1", "one.docx#2"]


def test_rows_with_the_same_name_are_refused(tmp_path):
    save_lines(tmp_path / "x.jsonl", [{"id": 1, "text": "a"}, {"id": 1, "text": "b"}])
    with pytest.raises(DataError, match=r"two documents have the name 'x.jsonl#1'"):
        convert("documents", tmp_path)


@pytest.mark.parametrize(("kind", "package"), [("pdf", "pypdf"), ("html", "selectolax"), ("docx", "docx")])
def test_a_missing_package_is_told_with_its_extra(kind, package, tmp_path, monkeypatch):
    import sys

    for module in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, f"embedtune.data.parsers.{kind}", raising=False)
    monkeypatch.setattr("sys.path", [place for place in sys.path if "site-packages" not in place])
    save(tmp_path / f"x.{kind}", "x")
    with pytest.raises(MissingPackageError, match=rf"embedtune\[{kind}\]"):
        convert("documents", tmp_path)


def test_every_parser_is_sampled():
    assert PARSERS.names() == ["docx", "html", "jsonl", "md", "pdf", "txt"]
