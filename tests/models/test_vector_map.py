from __future__ import annotations

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router
from tests.conftest import build_tiny_model

from embedtune.errors import EncoderError
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.fingerprint import model_fingerprint
from embedtune.models.vector_map import VectorMap

FLOAT32 = EncoderOptions(precision="float32")
TEXTS = ["水壶里有水垢怎么办", "how long to boil an egg", "", "tea " * 200]
DIM = 32


def numbers(*shape, seed=0, scale=0.3):
    return scale * torch.randn(*shape, generator=torch.manual_seed(seed))


def linear(seed=0):
    return VectorMap.linear(numbers(DIM, DIM, seed=seed))


def hidden(outer_scale=0.3):
    return VectorMap.hidden(numbers(8, DIM), numbers(8, seed=1), numbers(DIM, 8, seed=2, scale=outer_scale))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def save_with(query_map, base, folder):
    model = SentenceTransformer(str(base), device="cpu")
    query_map.attach(model)
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def test_formulas():
    queries = unit(numbers(5, DIM).numpy())
    update = numbers(DIM, DIM).numpy()
    np.testing.assert_allclose(linear().apply(queries), unit(queries + queries @ update.T), atol=1e-6)
    inner, bias, outer = numbers(8, DIM).numpy(), numbers(8, seed=1).numpy(), numbers(DIM, 8, seed=2).numpy()
    by_hand = unit(queries + np.maximum(queries @ inner.T + bias, 0) @ outer.T)
    np.testing.assert_allclose(hidden().apply(queries), by_hand, atol=1e-6)
    assert linear().apply(queries[:0]).shape == (0, DIM)


@pytest.mark.parametrize("identity", [VectorMap.linear(torch.zeros(DIM, DIM)), hidden(outer_scale=0.0)])
def test_zero_is_the_identity(identity):
    queries = unit(numbers(50, DIM).numpy())
    np.testing.assert_allclose(identity.apply(queries), queries, atol=1.2e-7)


@pytest.mark.parametrize("query_map", [linear(), hidden()], ids=["linear", "hidden"])
@pytest.mark.parametrize("normalise", [True, False])
def test_plain_sentence_transformers_gives_our_vectors(tmp_path, query_map, normalise):
    base = build_tiny_model(tmp_path, normalise=normalise)
    folder = save_with(query_map, base, tmp_path / "tuned")
    plain, ours = SentenceTransformer(str(folder), device="cpu"), load_encoder(folder, FLOAT32)
    documents = unit(plain.encode_document(TEXTS))
    np.testing.assert_allclose(ours.encode(TEXTS, "query"), plain.encode_query(TEXTS), atol=2e-6)
    np.testing.assert_allclose(ours.encode(TEXTS, "document"), documents, atol=2e-6)
    np.testing.assert_array_equal(documents, unit(SentenceTransformer(str(base), device="cpu").encode_document(TEXTS)))
    assert np.abs(plain.encode_query(TEXTS) - documents).max() > 0.05


def test_nothing_is_encoded_again_and_queries_have_a_key_of_their_own(tiny_model, tiny_encoder, tmp_path):
    folder = save_with(linear(), tiny_model, tmp_path / "tuned")
    cache = EmbeddingCache(tmp_path / "cache")
    for kind in ("query", "document"):
        cache.encode(tiny_encoder, TEXTS, kind)
    fresh, tuned = EmbeddingCache(tmp_path / "cache"), load_encoder(folder, FLOAT32)
    for kind in ("query", "document"):
        np.testing.assert_allclose(fresh.encode(tuned, TEXTS, kind), tuned.encode(TEXTS, kind), atol=2e-6)
    assert fresh.encoded == 0
    other = load_encoder(save_with(linear(seed=1), tiny_model, tmp_path / "other"), FLOAT32)
    keys = [encoder.cache_key for encoder in (tiny_encoder, tuned, other)]
    assert keys[0] != keys[1] != keys[2] != keys[0]


def test_a_map_of_the_wrong_dimension(tiny_model, tmp_path):
    folder = save_with(VectorMap.linear(torch.zeros(16, 16)), tiny_model, tmp_path / "tuned")
    with pytest.raises(EncoderError, match="for vectors of 16 dimensions, the model's have 32"):
        load_encoder(folder, FLOAT32)


def test_folding():
    """A symmetric map without negative eigenvalues folds without loss: (A q)·(A d) = (q + update q)·d."""
    root = numbers(DIM, DIM)
    symmetric = VectorMap.linear(root @ root.T)
    matrix, lost = symmetric.fold()
    queries, documents = numbers(5, DIM, seed=1), numbers(7, DIM, seed=2)
    expected = (queries + queries @ (root @ root.T).T) @ documents.T
    torch.testing.assert_close((queries @ matrix.T) @ (documents @ matrix.T).T, expected, atol=1e-4, rtol=1e-4)
    assert lost < 1e-6
    turned = VectorMap.linear(numbers(DIM, DIM, scale=0.01) - torch.eye(DIM)).fold()
    assert turned.lost_share > 0.5
    with pytest.raises(EncoderError, match="hidden layer can't be folded"):
        hidden().fold()


def test_other_routers_are_encoded_and_told_apart(tmp_path):
    models = [
        SentenceTransformer(str(build_tiny_model(tmp_path / str(seed), seed=seed, pooling=pooling)), device="cpu")
        for seed, pooling in ((0, "mean"), (1, "cls"))
    ]
    two = SentenceTransformer(modules=[Router.for_query_document(*(list(m.children()) for m in models))], device="cpu")
    two.save_pretrained(str(tmp_path / "two"), create_model_card=False)
    plain, ours = SentenceTransformer(str(tmp_path / "two"), device="cpu"), load_encoder(tmp_path / "two", FLOAT32)
    np.testing.assert_allclose(ours.encode(TEXTS, "query"), plain.encode_query(TEXTS), atol=2e-6)
    np.testing.assert_allclose(ours.encode(TEXTS, "document"), plain.encode_document(TEXTS), atol=2e-6)
    before = model_fingerprint(plain)
    assert before == ours.fingerprint
    plain[0].sub_modules["document"][1].pooling_mode = "mean"
    assert model_fingerprint(plain) != before
