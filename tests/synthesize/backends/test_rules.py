from __future__ import annotations

import random
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from embedtune.errors import MissingPackageError
from embedtune.synthesize.backends.rules import KINDS, RulesOptions, generate
from embedtune.synthesize.excerpts import stands_in
from embedtune.synthesize.setting import GenerationSetting

ENGLISH = """# Kettles

Limescale builds up in a kettle wherever the tap water is hard, and slows down its heating.

## Descaling

Fill the kettle with equal parts of white vinegar and water, boil it once, and let it stand for an hour. \
Rinse the kettle twice before anybody drinks from it again."""
CHINESE = """雅芳河位于英格兰西南部，流经布里斯托和巴斯，最后注入塞文河口。\
这条河的上游有许多水车磨坊，十八世纪时推动了当地的纺织工业。夏天河上可以划船，冬天常常泛滥。"""
DOCUMENTS = {"kettle": ENGLISH, "river": CHINESE, "short": "Bees sleep.", "marks": "***"}


def made(documents=None, options=None, *, headings=None, kinds=KINDS, per_document=3, seed=42):
    setting = GenerationSetting(kinds, per_document, seed, headings=headings or {})
    return list(generate(documents or DOCUMENTS, options or RulesOptions(), setting)), setting


def texts(kind, documents, **keywords):
    return [query.text for query in made(documents, kinds={kind: 1.0}, **keywords)[0]]


def test_every_kind_in_both_languages():
    queries, setting = made()
    for document_id, language in (("kettle", "Latin script"), ("river", "Chinese (simplified)")):
        mine = [query for query in queries if query.document_id == document_id]
        assert [query.kind for query in mine] == ["title", "keywords", "span"]
        assert {query.language for query in mine} == {language}
    assert not any(query.document_id == "marks" for query in queries)
    assert setting.tally.rejected == {"no words to make a query of": 1}


def test_headings_make_titles():
    assert texts("title", {"kettle": ENGLISH}, per_document=1) == ["Kettles Descaling"]
    above = {"river": ["英国", "河流", "雅芳河指南"]}
    assert texts("title", {"river": CHINESE}, headings=above, per_document=1) == ["河流 雅芳河指南"]


def test_without_a_heading_the_beginning_of_the_first_sentence_is_the_title():
    (title,) = texts("title", {"river": CHINESE}, options=RulesOptions(copies="keep"), per_document=1)
    assert title == "雅芳河位于英格兰西南部，流经布里斯托和巴斯，最后注入塞文河口"


def test_key_phrases_are_the_documents_own():
    for query in texts("keywords", {"kettle": ENGLISH}, per_document=2):
        assert len(query.split()) >= 2
        assert all(word in ENGLISH for word in query.split())
    others = {f"other {i}": f"这条河在第{i}个地方。" for i in range(20)}
    (query,) = texts("keywords", {"river": CHINESE} | others, per_document=1)[:1]
    assert all(word in CHINESE for word in query.split())
    assert "这条" not in query


def test_spans_are_never_from_the_first_sentence():
    sets = [texts("span", {"river": CHINESE}, options=RulesOptions(copies="keep"), seed=seed) for seed in range(8)]
    assert {query for queries in sets for query in queries} >= {
        "十八世纪时推动了当地的纺织工业",
        "夏天河上可以划船，冬天常常泛滥",
    }
    assert not any("雅芳河" in query for queries in sets for query in queries)


def test_copies_are_reworded_or_kept():
    for kind in ("title", "span"):
        assert not any(stands_in(text, CHINESE) for text in texts(kind, {"river": CHINESE}))
        kept = texts(kind, {"river": CHINESE}, options=RulesOptions(copies="keep"), per_document=2)
        assert all(stands_in(text, CHINESE) for text in kept)


def test_same_seed_same_queries_whatever_the_order_and_company():
    whole, _ = made(seed=7)
    assert made(seed=7)[0] == whole
    assert made(seed=8)[0] != whole
    turned, _ = made(dict(reversed(DOCUMENTS.items())), seed=7)
    assert sorted(turned, key=str) == sorted(whole, key=str)
    documents = {f"{i}": f"{ENGLISH}\n\nNumber {i}: {random.Random(i).random()}" for i in range(24)}
    alone = made(documents, per_document=2)[0]
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(lambda i: made({i: documents[i]}, per_document=2)[0], documents)
        assert [query for part in parts for query in part] == alone


def test_counts_follow_per_document_or_the_length():
    assert len(texts("span", {"kettle": ENGLISH}, per_document=4)) == 4
    long = " ".join(
        f"The {word} kettle of the {word} house boils {i} times a day." for i, word in enumerate("abcdefghij" * 3)
    )
    lengths = [len(made({"d": text}, per_document=None)[0]) for text in ("Bees sleep at night.", ENGLISH, long)]
    assert lengths == [1, 1, 3]
    assert len({query.text for query in made({"d": long}, per_document=6)[0]}) == 6


def test_a_missing_extractor_is_needed_for_spaced_words_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "yake", None)
    assert texts("keywords", {"river": CHINESE})
    assert texts("title", {"kettle": ENGLISH})
    with pytest.raises(MissingPackageError, match=r"embedtune\[rules\]"):
        texts("keywords", {"kettle": ENGLISH})


def test_no_documents_no_queries():
    assert list(generate({}, RulesOptions(), GenerationSetting(KINDS))) == []
