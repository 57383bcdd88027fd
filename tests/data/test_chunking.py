from __future__ import annotations

import random
import time

import pytest

from embedtune.data.chunking import chunk_documents
from embedtune.data.parsers.md import parse
from embedtune.data.source_document import Heading, SourceDocument
from embedtune.data.token_counter import encoder_counter
from embedtune.errors import DataError, OptionsError


def characters(texts):
    return [len(text) for text in texts]


def chunks_of(text, max_tokens, overlap_tokens=0, headings=(), count=characters):
    document = SourceDocument(text, headings)
    (chunks,) = chunk_documents([document], count, max_tokens=max_tokens, overlap_tokens=overlap_tokens)
    for chunk in chunks:
        assert chunk.text == text[chunk.start : chunk.end]
        assert count([chunk.text])[0] <= max_tokens
    return chunks


def texts_of(*arguments, **keywords):
    return [chunk.text for chunk in chunks_of(*arguments, **keywords)]


def test_chinese_and_english_sentences_are_kept_whole():
    text = "他问：“水开了吗？”我说还没有。Dr. no. 3 is e.g. here! Is it? 网址是 a.b?c=d 吗?对！！完"
    assert texts_of(text, 15) == [
        "他问：“水开了吗？”",
        "我说还没有。Dr. no.",
        "3 is e.g. here!",
        "Is it?",
        "网址是 a.b?c=d 吗?",
        "对！！完",
    ]


def test_sentences_are_packed_as_full_as_they_go():
    text = "一二三。" * 7
    assert [len(chunk) for chunk in texts_of(text, 12)] == [12, 12, 4]
    assert texts_of(text, 1000) == [text]


def test_a_chunk_repeats_whole_sentences_of_the_one_before():
    text = "甲一二。乙一二。丙一二。丁一二。"
    assert texts_of(text, 8, 4) == ["甲一二。乙一二。", "乙一二。丙一二。", "丙一二。丁一二。"]
    assert texts_of(text, 8, 3) == ["甲一二。乙一二。", "丙一二。丁一二。"]


def test_long_sentences_are_cut_at_lines_then_clauses_then_words_then_anywhere():
    assert texts_of("first line\nsecond line", 12) == ["first line", "second line"]
    assert texts_of("一二三四，五六七八", 6) == ["一二三四，", "五六七八"]
    assert texts_of("alpha beta gamma", 11) == ["alpha beta", "gamma"]
    assert "".join(texts_of("长" * 50, 7)) == "长" * 50


def test_a_chunk_never_reaches_over_a_heading_and_knows_its_path(tmp_path):
    path = tmp_path / "a.md"
    text = "前言。\n# 一\n## 二\n正文。\n```\n# code\n```\n### 三 ###\n更多。\n## Four\n\nText.\nFive\n====\nEnd."
    path.write_text(text, encoding="utf-8")
    (document,) = parse(path)
    assert document.text == text
    chunks = chunks_of(document.text, 100, headings=document.headings)
    assert [(chunk.headings, chunk.text) for chunk in chunks] == [
        ((), "前言。"),
        (("一", "二"), "# 一\n## 二\n正文。\n```\n# code\n```"),
        (("一", "二", "三"), "### 三 ###\n更多。"),
        (("一", "Four"), "## Four\n\nText."),
        (("Five",), "Five\n====\nEnd."),
    ]


def test_headings_without_text_are_not_lost():
    chunks = chunks_of("A\nB\nC", 10, headings=[Heading(0, 1, "A"), Heading(2, 1, "B"), Heading(4, 2, "C")])
    assert "".join(chunk.text for chunk in chunks).replace("\n", "") == "ABC"


@pytest.mark.parametrize("text", ["", "  \n ", "。", "…", "\n\n\n"])
def test_tiny_documents(text):
    assert texts_of(text, 1) == ([text.strip()] if text.strip() else [])


def test_an_overlap_as_long_as_the_chunk_is_refused():
    with pytest.raises(OptionsError, match="must be less than the longest chunk"):
        list(chunk_documents([], characters, max_tokens=5, overlap_tokens=5))


@pytest.mark.parametrize("text", ["a b ", ".", " ", "\n ", "?!", "”", "。", '."'])
def test_a_hundred_thousand_characters_without_a_sentence_take_no_time(text):
    started = time.process_time()
    chunks = chunks_of(text * (100_000 // len(text)), 500, 50)
    assert len(chunks) <= 600
    assert time.process_time() - started < 5


def test_nothing_but_blanks_is_lost_whatever_the_text():
    generator = random.Random(7)
    for _ in range(200):
        text = "".join(generator.choice("ab 。，.!\n？“” 中文") for _ in range(generator.randrange(120)))
        chunks = chunks_of(text, generator.randrange(1, 20))
        covered = {place for chunk in chunks for place in range(chunk.start, chunk.end)}
        assert all(character.isspace() for place, character in enumerate(text) if place not in covered)


def test_chunks_fit_the_encoder_whole(tiny_model, tiny_encoder, sample):
    counter = encoder_counter(str(tiny_model))
    assert counter.max_tokens == 126
    text = "".join(sample.corpus.values())
    chunks = chunks_of(text, counter.max_tokens, 20, count=counter.count_tokens)
    assert len(chunks) > 5
    tokenizer = tiny_encoder.model.tokenizer
    lengths = [len(tokenizer(chunk.text)["input_ids"]) for chunk in chunks]
    assert max(lengths) <= 128
    assert sorted(lengths)[len(lengths) // 2] > 90


def test_a_document_prompt_takes_its_share_of_the_limit(tiny_model, tmp_path):
    import json
    import shutil

    shutil.copytree(tiny_model, tmp_path / "model")
    settings = tmp_path / "model" / "config_sentence_transformers.json"
    content = json.loads(settings.read_text())
    settings.write_text(json.dumps(content | {"prompts": {"query": "abcdefgh", "document": "水水水"}}))
    assert encoder_counter(str(tmp_path / "model")).max_tokens == 123


def test_the_packaged_encoder_is_known_by_its_short_name():
    counter = encoder_counter("minilm")
    assert counter.max_tokens == 254
    assert counter.count_tokens(["hello world", ""]) == [2, 0]
    with pytest.raises(DataError, match=r"no tokenizer\.json"):
        encoder_counter(".")
