from __future__ import annotations

import math

import pytest

from embedtune.errors import EvaluationError
from embedtune.search.bm25 import BM25Options, BM25Retriever
from embedtune.search.terms import terms


def test_terms_of_english_and_chinese():
    assert terms("The Kettle's lime-scale, in 2 KETTLES!") == ["kettle", "lime", "scale", "kettles"]
    assert terms("水壶里的水垢") == ["水壶", "里", "的", "水垢"]
    assert terms("用FAISS检索向量，top_k＝１０") == ["用", "faiss", "检索", "向量", "top_k", "10"]
    assert terms("…！？") == []


def test_scores_are_bm25s_formula():
    corpus = {"a": "apple apple banana", "b": "banana cherry", "c": "durian cherry fig grape"}
    run = BM25Retriever(corpus, BM25Options(k1=0.9, b=0.4)).retrieve({"q": "apple"}, 10)
    (found,) = run.rankings["q"]
    idf = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    expected = idf * 2 / (2 + 0.9 * (1 - 0.4 + 0.4 * 3 / 3))
    assert found.document_id == "a"
    assert found.score == pytest.approx(expected, rel=1e-6)


def test_documents_without_a_common_term_are_left_out():
    retriever = BM25Retriever({"a": "one two", "b": "three four", "c": "one three"})
    run = retriever.retrieve({"q": "one", "r": "nothing known", "s": "？"}, 10)
    assert sorted(run.document_ids("q")) == ["a", "c"]
    assert run.document_ids("r") == []
    assert run.document_ids("s") == []


def test_ties_are_ordered_by_id():
    run = BM25Retriever({"a": "same", "c": "same", "b": "same"}).retrieve({"q": "same"}, 2)
    assert run.document_ids("q") == ["c", "b"]


def test_chinese_questions_find_their_documents(sample):
    run = BM25Retriever(sample.corpus).retrieve({"q13": sample.queries["q13"], "q24": sample.queries["q24"]}, 1)
    assert run.document_ids("q13") == ["zh-kettle"]
    assert run.document_ids("q24") == ["zh-rain"]


def test_a_corpus_without_terms():
    with pytest.raises(EvaluationError, match="no document holds a search term"):
        BM25Retriever({"a": "?!", "b": "…"})
