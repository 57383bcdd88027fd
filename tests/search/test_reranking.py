from __future__ import annotations

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder
from tests.conftest import build_tiny_reranker

from embedtune.errors import EncoderError
from embedtune.search.bm25 import BM25Retriever
from embedtune.search.reranker_options import RerankerOptions
from embedtune.search.reranking import Pair, RerankingRetriever, load_reranker, rerank
from embedtune.search.run import Run

FLOAT32 = RerankerOptions(precision="float32")


@pytest.fixture
def pairs(sample):
    documents = [*sample.corpus.values(), "word " * 300]
    return [Pair(query, document) for query in list(sample.queries.values())[:6] for document in documents[::5]]


def test_equals_sentence_transformers(tiny_reranker, pairs):
    ours = load_reranker(tiny_reranker, FLOAT32).score(pairs)
    model = CrossEncoder(str(tiny_reranker), device="cpu")
    theirs = model.predict([tuple(pair) for pair in pairs], activation_fn=torch.nn.Identity())
    assert ours.dtype == np.float32
    assert np.ptp(ours) > 0.1
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_small_batches_give_the_same(tiny_reranker, pairs):
    small = load_reranker(tiny_reranker, RerankerOptions(precision="float32", tokens_per_batch=64))
    np.testing.assert_allclose(small.score(pairs), load_reranker(tiny_reranker, FLOAT32).score(pairs), atol=2e-6)


def test_nothing_one_pair_and_the_same_pair_twice(tiny_reranker, pairs):
    reranker = load_reranker(tiny_reranker, FLOAT32)
    assert reranker.score([]).shape == (0,)
    assert reranker.score(pairs[:1]).shape == (1,)
    first, second = reranker.score([pairs[0], pairs[0]])
    assert first == pytest.approx(second, abs=2e-6)


def test_pairs_are_cut_at_the_limit(tiny_reranker):
    reranker = load_reranker(tiny_reranker, RerankerOptions(precision="float32", rerank_max_length=8))
    long, cut = reranker.score([("a b", "c d e f g h i"), ("a b", "c d e")])
    assert reranker.max_length == 8
    assert long == pytest.approx(cut, abs=2e-6)
    whole = load_reranker(tiny_reranker, FLOAT32).score([("a b", "c d e f g h i")])
    assert abs(whole[0] - cut) > 1e-4


def test_the_fingerprint_is_of_the_weights(tiny_reranker, tmp_path):
    one = load_reranker(tiny_reranker, FLOAT32).fingerprint
    assert one == load_reranker(tiny_reranker, RerankerOptions(precision="bfloat16")).fingerprint
    assert one != load_reranker(build_tiny_reranker(tmp_path, seed=1), FLOAT32).fingerprint


def test_rerank_orders_the_best_of_a_run(tiny_reranker, sample):
    reranker = load_reranker(tiny_reranker, FLOAT32)
    first, second = list(sample.queries)[:2]
    documents = list(sample.corpus)[:6]
    run = Run.from_scores({first: {d: -float(i) for i, d in enumerate(documents)}, second: {}})
    reranked = rerank(run, reranker, sample.queries, sample.corpus, depth=4)
    assert set(reranked.document_ids(first)) == set(documents[:4])
    assert reranked.document_ids(second) == []
    scores = [document.score for document in reranked.rankings[first]]
    assert scores == sorted(scores, reverse=True)
    by_hand = reranker.score([(sample.queries[first], sample.corpus[d]) for d in reranked.document_ids(first)])
    np.testing.assert_allclose(scores, by_hand, atol=2e-6)


def test_an_encoder_isnt_taken_for_a_reranker(tiny_model):
    with pytest.raises(EncoderError, match="is no cross-encoder"):
        load_reranker(tiny_model)
    with pytest.raises(EncoderError, match="is no cross-encoder"):
        load_reranker(tiny_model.parent / "backbone")


def test_a_classifier_is_refused(tmp_path):
    with pytest.raises(EncoderError, match="has 3 outputs"):
        load_reranker(build_tiny_reranker(tmp_path, outputs=3))


def test_pickled_weights_are_refused(tmp_path):
    path = build_tiny_reranker(tmp_path)
    (path / "model.safetensors").unlink()
    torch.save({"weights": 1}, path / "pytorch_model.bin")
    with pytest.raises(EncoderError, match="can't be loaded"):
        load_reranker(path)


def test_what_isnt_there_is_said(tmp_path):
    with pytest.raises(EncoderError, match="isn't in the local Hub cache"):
        load_reranker("BAAI/bge-reranker-base")
    with pytest.raises(EncoderError, match="there is no folder"):
        load_reranker("no such folder/at all/here")
    with pytest.raises(EncoderError, match="holds no model"):
        load_reranker(tmp_path)


def test_a_reranking_retriever_orders_what_the_first_one_finds(tiny_reranker, sample):
    reranker, first = load_reranker(tiny_reranker, FLOAT32), BM25Retriever(sample.corpus)
    queries = {name: sample.queries[name] for name in list(sample.queries)[:3]}
    found = RerankingRetriever(first, reranker, sample.corpus, depth=3).retrieve(queries, 5)
    expected = rerank(first.retrieve(queries, 5), reranker, queries, sample.corpus, depth=5)
    assert [found.document_ids(name) for name in queries] == [expected.document_ids(name) for name in queries]
    assert max(len(found.document_ids(name)) for name in queries) <= 5
