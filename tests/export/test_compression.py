"""Codes equal sentence_transformers' own; the blockwise search equals a plain one; the table adds up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import DataError
from embedtune.export import quantised_vectors
from embedtune.export.compression import measure_compression, truncated
from embedtune.export.quantised_vectors import BinaryVectors, Int8Vectors
from embedtune.export.vector_options import CompressionOptions


@pytest.fixture
def documents():
    made = np.random.default_rng(0).standard_normal((700, 100)).astype(np.float32)
    made[:, 7] = 0.25  # a dimension that never changes
    made[3], made[4] = made[5], 0
    return made


@pytest.fixture
def queries():
    return np.random.default_rng(1).standard_normal((70, 100)).astype(np.float32)


def test_codes_are_those_of_sentence_transformers(documents):
    from sentence_transformers.util.quantization import quantize_embeddings

    np.testing.assert_array_equal(Int8Vectors.of(documents).codes, quantize_embeddings(documents, "int8"))
    np.testing.assert_array_equal(BinaryVectors.of(documents).bits, quantize_embeddings(documents, "ubinary"))


def test_values_are_within_half_a_step(documents):
    codes = Int8Vectors.of(documents)
    rows = np.array([0, 4, 699])
    assert (np.abs(codes.values(rows) - documents[rows]) <= codes.steps * 0.501).all()
    np.testing.assert_array_equal(BinaryVectors.of(documents).values(rows), np.where(documents[rows] > 0, 1, -1))


def test_blocks_find_what_a_plain_search_finds(documents, queries, monkeypatch):
    monkeypatch.setattr(quantised_vectors, "_DOCUMENTS_PER_BLOCK", 64)
    everything = np.arange(len(documents))
    codes, bits = Int8Vectors.of(documents), BinaryVectors.of(documents)
    scores = queries @ codes.values(everything).T
    lowest = np.sort(scores, axis=1)[:, -9]
    found = codes.candidates(queries, 9)
    assert found.shape == (70, 9)
    assert (np.take_along_axis(scores, found, 1) >= lowest[:, None] - 1e-3).all()
    distances = ((queries > 0)[:, None, :] != (documents > 0)[None]).sum(axis=2)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :9]
    np.testing.assert_array_equal(np.sort(bits.candidates(queries, 9), axis=1), np.sort(nearest, axis=1))
    assert bits.candidates(queries, 9000).shape == (70, 700)


def test_shortened_vectors_keep_their_length(documents):
    short = truncated(documents, 30)
    assert short.shape == (700, 30)
    np.testing.assert_allclose(np.linalg.norm(short, axis=1), np.linalg.norm(documents, axis=1), rtol=1e-5)
    assert (short[4] == 0).all()


def test_the_table_goes_from_float32_to_bits(tiny_encoder, sample):
    options = CompressionOptions(split="all", dims=(16, 64), oversample=3)
    table = measure_compression(tiny_encoder, sample, options)
    size_of = {row.name: (row.bytes_searched, row.bytes_rescoring) for row in table.rows}
    assert size_of["float32"] == (128, 0)
    assert size_of["float16"] == (64, 0)
    assert size_of["int8"] == (32, 0)
    assert size_of["binary"] == (4, 0)
    assert size_of["binary, rescored by int8"] == (4, 32)
    assert size_of["first 16 dimensions, float32"] == (64, 0)
    assert "first 64 dimensions, float32" not in size_of
    base = table.rows[0]
    assert (base.difference, base.interval) == (0, (0, 0))
    assert all(row.interval[0] <= row.difference <= row.interval[1] for row in table.rows)
    from embedtune.evaluate.evaluation import evaluate
    from embedtune.search.retrievers import make_retriever

    exact = evaluate(sample, make_retriever("dense", sample.corpus, tiny_encoder), split="all")
    assert base.ndcg_at_10 == exact.scores.mean("ndcg_at_10")


def test_rescoring_all_candidates_by_float32_is_exact_search(tiny_encoder, sample):
    table = measure_compression(tiny_encoder, sample, CompressionOptions(split="all", oversample=1000))
    rescored = next(row for row in table.rows if row.name == "binary, rescored by float32")
    assert rescored.difference == 0


def test_one_document_and_none(tiny_encoder):
    one = RetrievalDataset({"q": "茶"}, {"只有": "茶壶"}, {"q": ["只有"]}, queries_split={"val": ["q"]})
    assert {row.ndcg_at_10 for row in measure_compression(tiny_encoder, one).rows} == {1.0}
    with pytest.raises(DataError, match="no documents to compress"):
        measure_compression(tiny_encoder, replace(one, corpus={}))
