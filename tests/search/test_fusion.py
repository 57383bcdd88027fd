from __future__ import annotations

import pytest

from embedtune.errors import OptionsError
from embedtune.search.fusion import HybridRetriever, fuse
from embedtune.search.retrievers import make_retriever
from embedtune.search.run import Run


def test_fusion_by_hand():
    one = Run.from_scores({"q": {"a": 3, "b": 2, "c": 1}, "only in one": {"x": 1}})
    two = Run.from_scores({"q": {"c": 30, "a": 20, "d": 10}})
    fused = fuse([one, two], top_k=3)
    assert fused.document_ids("q") == ["a", "c", "b"]
    assert fused.rankings["q"][0].score == pytest.approx(1 / 61 + 1 / 62)
    assert fused.rankings["q"][1].score == pytest.approx(1 / 63 + 1 / 61)
    assert fused.document_ids("only in one") == ["x"]


def test_hybrid_searches_deeper_than_it_returns():
    class Fixed:
        name = "fixed"

        def retrieve(self, queries, top_k):
            assert top_k == 100
            return Run.from_scores({"q": {f"d{i}": -i for i in range(top_k)}})

    run = HybridRetriever([Fixed(), Fixed()]).retrieve({"q": "x"}, 5)
    assert run.document_ids("q") == ["d0", "d1", "d2", "d3", "d4"]


def test_retriever_by_name(sample, tiny_encoder):
    for name in ("dense", "bm25", "hybrid"):
        retriever = make_retriever(name, sample.corpus, tiny_encoder)
        assert retriever.name == name
        assert len(retriever.retrieve({"q13": sample.queries["q13"]}, 3).document_ids("q13")) == 3
    with pytest.raises(OptionsError, match="'dense' needs an encoder"):
        make_retriever("dense", sample.corpus)
    with pytest.raises(OptionsError, match=r"unknown retriever 'bm52'; did you mean 'bm25'\?"):
        make_retriever("bm52", sample.corpus)
