"""What single stores do: servers that are down or stall, other people's collections, approximate indexes."""

from __future__ import annotations

import socket
import time
from contextlib import closing

import numpy as np
import pytest

from embedtune.errors import OptionsError, StorageError
from embedtune.export.search_check import Judged
from embedtune.search.run import RankedDocument
from embedtune.search.stores import STORES
from embedtune.search.vector_index import VectorIndex
from embedtune.search.vector_store import DocumentBatch

SECRET = "secret-9f2b"  # noqa: S105
TOKENS = {"milvus": "MILVUS_TOKEN", "qdrant": "QDRANT_API_KEY"}


PACKAGES = {"milvus": "pymilvus", "qdrant": "qdrant_client"}


def opened(name, dim=8, **values):
    pytest.importorskip(PACKAGES.get(name, name))
    module = STORES.load(name)
    return module.open_store(module.OPTIONS(**values), dim)


def random_batch(rows, dim=8, seed=0, texts=None):
    vectors = np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)
    ids = [f"文档{row}" for row in range(rows)]
    return DocumentBatch(ids, texts or ids, ids, vectors)


@pytest.mark.parametrize("name", TOKENS)
def test_a_server_that_is_down_or_stalls_is_told_within_the_time_limit(name, monkeypatch, capfd):
    pytest.importorskip(PACKAGES[name])
    monkeypatch.setenv(TOKENS[name], SECRET)
    with closing(socket.create_server(("127.0.0.1", 0))) as stalling:  # takes connections, never answers
        closed = socket.create_server(("127.0.0.1", 0))
        ports = [closed.getsockname()[1], stalling.getsockname()[1]]
        closed.close()
        STORES.load(name)  # importing the client isn't what is timed
        for port in ports:
            started = time.monotonic()
            with pytest.raises(StorageError, match=r"didn't do what was asked \(time limit 1 s\)") as down:
                opened(name, url=f"http://127.0.0.1:{port}", timeout_s=1)
            assert time.monotonic() - started < 8
            assert f"127.0.0.1:{port}" in str(down.value)
            assert "goes on where it stopped" in str(down.value)
            assert SECRET not in str(down.value) + "".join(capfd.readouterr())


@pytest.mark.parametrize("name", TOKENS)
def test_one_place_has_to_be_named(name, tmp_path):
    with pytest.raises(OptionsError, match="neither --path nor --url"):
        opened(name)
    with pytest.raises(OptionsError, match="both --path and --url"):
        opened(name, path=tmp_path, url="http://127.0.0.1:1")
    with pytest.raises(OptionsError, match="holds a name or a password") as refused:
        opened(name, url=f"http://me:{SECRET}@127.0.0.1:1")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("name", ["faiss", "lancedb"])
def test_a_folder_has_to_be_named(name):
    with pytest.raises(OptionsError, match="--path"):
        opened(name)


def test_collection_names_are_those_that_every_store_takes():
    with pytest.raises(OptionsError, match="collection"):
        opened("faiss", path="x", collection="../up")


def test_milvus_keeps_whole_characters_of_a_text_that_is_too_long(tmp_path):
    store = opened("milvus", path=tmp_path / "m")
    store.write(random_batch(2, texts=["字" * 30_000, "short"]), replacing=False)
    rows = store._client.query("documents", filter="", output_fields=["text"], limit=5)
    store.close()
    assert sorted(row["text"] for row in rows) == sorted(["字" * 21_845, "short"])


def test_other_peoples_collections_are_refused(tmp_path):
    lancedb = pytest.importorskip("lancedb")
    lancedb.connect(str(tmp_path / "l")).create_table("documents", [{"id": "a", "vector": [1.0, 2.0]}])
    with pytest.raises(StorageError, match="has no field content_hash, text, so embedtune didn't write it"):
        opened("lancedb", path=tmp_path / "l")
    qdrant = pytest.importorskip("qdrant_client")
    client = qdrant.QdrantClient(path=str(tmp_path / "q"))
    kind = qdrant.models.VectorParams(size=8, distance=qdrant.models.Distance.COSINE)
    client.create_collection("documents", vectors_config=kind)
    client.close()
    with pytest.raises(StorageError, match="compares by Cosine, expected one vector and inner products"):
        opened("qdrant", path=tmp_path / "q")
    (tmp_path / "m").mkdir()
    milvus = pytest.importorskip("pymilvus")
    client = milvus.MilvusClient(str(tmp_path / "m" / "milvus.db"))
    client.create_collection("documents", dimension=8, metric_type="COSINE")
    client.close()
    with pytest.raises(StorageError, match="has no field content_hash"):
        opened("milvus", path=tmp_path / "m")


@pytest.mark.parametrize(("name", "index"), [("faiss", "hnsw"), ("lancedb", "ivf"), ("milvus", "hnsw")])
def test_approximate_indexes_find_most(name, index, tmp_path):
    batch, queries = random_batch(600), random_batch(40, seed=1).vectors
    store = opened(name, path=tmp_path / "store", index=index)
    store.write(batch, replacing=False)
    store.finish()
    found = store.search(queries, 10)
    assert (store.index, store.exact) == (index, False)
    store.close()
    exact = VectorIndex(batch.vectors, batch.ids).search_rows(queries, 10).scores
    judged = Judged(batch.vectors, queries, batch.ids, exact)
    assert judged.recall(found) > 0.6
    again = opened(name, path=tmp_path / "store", index="flat")
    again.finish()
    rerun = again.search(queries, 10)
    again.close()
    if name != "milvus":  # a collection keeps the index it was made with
        assert judged.recall(rerun) == 1
        assert all(judged.ranked_alike(rerun))


def test_recall_counts_scores_and_alike_the_order():
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0.5, 0]], dtype=np.float32)
    ids, query = ["a", "copy of a", "b", "c"], np.array([[1, 0]], dtype=np.float32)

    def judge(*names, best):
        judged = Judged(vectors, query, ids, np.array([best], dtype=np.float32))
        found = [[RankedDocument(name, 9.0) for name in names]]
        return judged.recall(found), judged.ranked_alike(found)[0]

    assert judge("copy of a", best=[1.0]) == (1, True)
    assert judge("c", best=[1.0]) == (0, False)
    assert judge("unknown", best=[1.0]) == (0, False)
    assert judge("a", "a", best=[1.0, 1.0]) == (0.5, True)
    assert judge("copy of a", "a", "c", best=[1.0, 1.0, 0.5]) == (1, True)
    assert judge("c", "a", "copy of a", best=[1.0, 1.0, 0.5]) == (1, False)
    assert judge("a", best=[1.0, 1.0]) == (0.5, False)
