from __future__ import annotations

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedtune.errors import StorageError
from embedtune.models.cache import EmbeddingCache
from embedtune.models.moved_documents import MovedDocuments, has_moved_documents, write_document_vectors
from embedtune.models.tuned_encoder import TunedEncoder

CORPUS = {"a": "one", "乙": "二", "c": "three", "d": "four"}


@pytest.fixture
def vectors():
    made = np.random.default_rng(0).standard_normal((4, 32)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.fixture
def written(tmp_path, vectors):
    about = write_document_vectors(tmp_path, CORPUS, vectors, np.array([False, True, False, True]))
    assert about == {"documents": 4, "moved": 2, "dim": 32, "similarity": "cosine"}
    return tmp_path


def test_parquet_and_index_hold_every_document(written, vectors):
    table = pq.read_table(written / "document_vectors" / "vectors.parquet")
    assert table["id"].to_pylist() == list(CORPUS)
    assert table["moved"].to_pylist() == [False, True, False, True]
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), dtype=np.float32), vectors)
    index = faiss.read_index(str(written / "document_vectors" / "index.faiss"))
    assert index.metric_type == faiss.METRIC_INNER_PRODUCT
    np.testing.assert_array_equal(index.reconstruct_n(0, 4), vectors)


def test_vectors_of_other_lengths_are_for_inner_products_only(tmp_path, vectors):
    vectors[1] *= 1.3
    about = write_document_vectors(tmp_path, CORPUS, vectors, np.array([False, True, False, False]))
    assert about["similarity"] == "inner product"
    index = faiss.read_index(str(tmp_path / "document_vectors" / "index.faiss"))
    assert index.search(vectors[1:2], 1)[0][0, 0] == pytest.approx(1.69, abs=1e-5)


def test_known_ids_are_moved_the_others_stay(written, vectors, tiny_encoder):
    assert has_moved_documents(str(written))
    moved = MovedDocuments.read(written)
    assert moved.ids == ("乙", "d")
    encoder = TunedEncoder(tiny_encoder, None, moved)
    corpus = {"new": "five", "d": "four", "乙": "二", "a": "one"}
    plain = EmbeddingCache(None).encode_corpus(tiny_encoder, corpus)
    found = EmbeddingCache(None).encode_corpus(encoder, corpus)
    np.testing.assert_array_equal(found[[0, 3]], plain[[0, 3]])
    np.testing.assert_array_equal(found[[1, 2]], vectors[[3, 1]])


def test_a_changed_text_keeps_its_plain_vector(written, tiny_encoder, capsys):
    from embedtune import progress

    encoder = TunedEncoder(tiny_encoder, None, MovedDocuments.read(written))
    with progress.shown():
        found = EmbeddingCache(None).encode_corpus(encoder, CORPUS | {"d": "four, edited"})
        EmbeddingCache(None).encode_corpus(encoder, {"x": "another corpus"})
    np.testing.assert_allclose(found[3], tiny_encoder.encode(["four, edited"], "document")[0], atol=2e-6)
    said = capsys.readouterr().err
    assert "the texts of 1 of 2 moved documents have changed since" in said
    assert "none of the 2 moved documents is in this corpus" in said


def damage_bytes(path):
    path.write_bytes(path.read_bytes()[:-40])


def change_ids(path):
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "id", [["a", "d", "c", "d"]]), path)


def drop_rows(path):
    pq.write_table(pq.read_table(path).slice(0, 2), path)


def spoil_vectors(path):
    table = pq.read_table(path)
    field = table.schema.field("vector")
    spoiled = pa.array(np.full((4, 32), np.nan).tolist(), field.type)
    pq.write_table(table.set_column(1, field, spoiled), path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_bytes, "are damaged"),
        (change_ids, "1 different ids of moved documents, 2 were written"),
        (drop_rows, "1 different ids"),
        (spoil_vectors, "NaN or infinite"),
    ],
)
def test_damage(written, damage, words):
    damage(written / "document_vectors" / "vectors.parquet")
    with pytest.raises(StorageError, match=words) as caught:
        MovedDocuments.read(written)
    assert "run embedtune train --method nudge again" in str(caught.value)
