from __future__ import annotations

import numpy as np
import pytest

from embedtune.errors import EvaluationError
from embedtune.search import shortlist, vector_index
from embedtune.search.vector_index import VectorIndex


def unit(rows, dim=48, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def by_hand(queries, vectors, ids, top_k):
    """Every score in float64, sorted by score as float32, then by id backwards."""
    scores = (queries.astype(np.float64) @ vectors.astype(np.float64).T).astype(np.float32)
    return [
        sorted(sorted(range(len(ids)), key=lambda i: ids[i], reverse=True), key=lambda i: -row[i])[:top_k]
        for row in scores
    ]


@pytest.mark.parametrize("top_k", [1, 10, 200, 500])
def test_equals_a_full_sort(top_k):
    vectors, queries = unit(200), unit(30, seed=1)
    ids = [f"d{i}" for i in range(200)]
    found = VectorIndex(vectors, ids).search(queries, top_k)
    expected = [[ids[i] for i in row] for row in by_hand(queries, vectors, ids, top_k)]
    assert [[document.document_id for document in row] for row in found] == expected


def test_copies_are_ordered_by_id_even_when_they_are_many():
    base = unit(10)
    vectors = np.concatenate([base, np.repeat(base[:1], 300, axis=0), unit(300, seed=5)])
    ids = [f"d{i:03}" for i in range(len(vectors))]
    found = VectorIndex(vectors, ids).search(base[:1], 5)
    assert [document.document_id for document in found[0]] == ["d309", "d308", "d307", "d306", "d305"]
    assert len({document.score for document in found[0]}) == 1


def test_repeats_exactly_whatever_the_order_of_documents():
    vectors, queries = unit(500), unit(20, seed=1)
    ids = [f"d{i}" for i in range(500)]
    order = np.random.default_rng(3).permutation(500)
    one = VectorIndex(vectors, ids).search(queries, 20)
    other = VectorIndex(vectors[order], [ids[i] for i in order]).search(queries, 20)
    assert one == other


def test_vectors_of_any_length():
    vectors = unit(300) * np.linspace(0.1, 50, 300, dtype=np.float32)[:, None]
    queries = unit(5, seed=2) * 7
    ids = [str(i) for i in range(300)]
    found = VectorIndex(vectors, ids).search(queries, 12)
    expected = [[ids[i] for i in row] for row in by_hand(queries, vectors, ids, 12)]
    assert [[document.document_id for document in row] for row in found] == expected


def test_no_queries_and_bad_shapes():
    index = VectorIndex(unit(3), ["a", "b", "c"])
    assert index.search(unit(0), 5) == []
    assert len(index.search(unit(1), 5)[0]) == 3
    with pytest.raises(EvaluationError, match="query vectors have 7 dimensions, documents 48"):
        index.search(unit(1, dim=7), 5)
    with pytest.raises(EvaluationError, match="3 vectors for 2 document ids"):
        VectorIndex(unit(3), ["a", "b"])
    with pytest.raises(EvaluationError, match="no documents"):
        VectorIndex(unit(0), [])


@pytest.mark.parametrize("bfloat16", [True, False])
@pytest.mark.parametrize("limit", [10, 4_000_000])
def test_blocks_and_the_coarse_pass_change_nothing(monkeypatch, bfloat16, limit):
    """Many small tiles, copies, vectors of any length and sign, from a memory map in float16 as well."""
    monkeypatch.setattr(vector_index, "_FEW_QUERIES", 1)
    monkeypatch.setattr(vector_index, "_DOCUMENTS_PER_TILE", 64)
    monkeypatch.setattr(vector_index, "_QUERIES_PER_TILE", 16)
    monkeypatch.setattr(vector_index, "_QUERIES_AT_ONCE", 40)
    monkeypatch.setattr(vector_index, "computes_in_bfloat16", lambda: bfloat16)
    monkeypatch.setattr(shortlist, "_LEAST_KEPT", limit)
    monkeypatch.setattr(shortlist, "_SPARE", 1)
    generator = np.random.default_rng(7)
    vectors = unit(500) * 10 ** generator.uniform(-3, 3, (500, 1)).astype(np.float32)
    vectors[100:160] = vectors[3]
    vectors[200:230] = 0
    queries = np.concatenate([unit(50, seed=1), -np.abs(unit(5, seed=2)), np.zeros((1, 48), dtype=np.float32)])
    ids = [str(i) for i in generator.permutation(500)]
    for stored in (vectors, vectors.astype(np.float16)):
        for top_k in (1, 10, 100):
            found = VectorIndex(stored, ids).search_rows(queries, top_k)
            expected = by_hand(queries, stored, ids, top_k)
            assert found.rows.tolist() == expected
