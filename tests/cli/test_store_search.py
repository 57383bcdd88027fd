"""eval and mine in a vector store: the same results, the words, and stores that fail in the middle."""

from __future__ import annotations

import json
import socket
from contextlib import closing

import pytest
from tests.conftest import SAMPLE

EXACT = ("--precision", "float32")
PACKAGES = {"faiss": "faiss", "lancedb": "lancedb", "milvus": "pymilvus", "qdrant": "qdrant_client"}
STALLS_AT = {"qdrant": ("/query/batch", "/points"), "milvus": ("search", "query")}
INDEX_OF_A_SERVER = {"qdrant": "hnsw", "milvus": "flat"}


def published(embedtune, tiny_model, store, *words):
    pytest.importorskip(PACKAGES[store])
    done = embedtune("publish", tiny_model, SAMPLE, "--to", store, "--path", "store", "--split", "all", *EXACT, *words)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("store", ["faiss", "lancedb"])
def test_eval_and_mine_in_a_folder(embedtune, tiny_model, tmp_path, store):
    published(embedtune, tiny_model, store, "--no-check", "--cache-dir", "elsewhere")
    place = ("--index", store, "--path", "store")
    words = ("eval", SAMPLE, "--encoder", tiny_model, "--split", "test", *EXACT)
    there = embedtune(*words, *place, "--out", "there", "--recall-sample", "3")
    assert there.returncode == 0, there.stderr
    assert "encoded 8 texts, 0 of them documents" in there.stderr
    assert "recall 1.0000 of the exact top 10, 3 queries, against the stored vectors" in there.stderr
    here = embedtune(*words, "--out", "here")
    assert there.stdout == here.stdout
    runs = [(tmp_path / name / "run.trec").read_text(encoding="utf-8") for name in ("here", "there")]
    assert runs[0].replace(" here\n", "") == runs[1].replace(" there\n", "")
    made_from = json.loads((tmp_path / "there" / "embedtune.json").read_text(encoding="utf-8"))["made_from"]
    assert (made_from["index"], made_from["store"]["recall"]) == (store, 1.0)
    mine = ("mine", SAMPLE, "--encoder", tiny_model, "--split", "all", *EXACT)
    mined = embedtune(*mine, *place, "--recall-sample", "0", "--out", "there.json", "--cache-dir", "empty")
    assert mined.returncode == 0, mined.stderr
    assert "encoded 24 texts, 0 of them documents" in mined.stderr
    assert "recall" not in mined.stderr
    plain = embedtune(*mine, "--out", "here.json")
    assert mined.stdout == plain.stdout
    assert (tmp_path / "there.json").read_bytes() == (tmp_path / "here.json").read_bytes()


def test_mistakes(embedtune, tiny_model):
    words = (SAMPLE, "--encoder", tiny_model, *EXACT)
    unnamed = embedtune("eval", *words, "--index", "faiss")
    assert (unnamed.returncode, "name a folder with --path" in unnamed.stderr) == (2, True)
    place = embedtune("eval", *words, "--path", "store")
    assert (place.returncode, "'exact' is none" in place.stderr) == (2, True)
    nothing = embedtune("eval", *words, "--index", "faiss", "--path", "store")
    assert (nothing.returncode, "there is no collection 'documents'" in nothing.stderr) == (2, True)
    twice = embedtune("eval", *words, "--index", "faiss", "--path", "store", "--engine", "ray")
    assert (twice.returncode, "encoded and searched in faiss already" in twice.stderr) == (2, True)
    unknown = embedtune("mine", *words, "--index", "fais", "--path", "store", "--out", "mined.json")
    assert (unknown.returncode, "did you mean 'faiss'?" in unknown.stderr) == (2, True)
    published(embedtune, tiny_model, "faiss", "--no-check")
    other = embedtune("eval", *words, "--index", "faiss", "--path", "store", "--document-instruction", "passage: ")
    assert other.returncode == 2
    assert "are another encoder's" in other.stderr
    assert "--document-instruction" in other.stderr
    query = embedtune("eval", *words, "--index", "faiss", "--path", "store", "--query-instruction", "query: ")
    assert query.returncode == 0, query.stderr


@pytest.mark.parametrize("store", ["qdrant", "milvus"])
def test_a_server_that_is_down_or_stalls_ends_in_time_and_leaves_nothing(embedtune, tiny_model, tmp_path, store):
    pytest.importorskip(PACKAGES[store])
    words = ("--encoder", tiny_model, "--index", store, "--store-timeout-s", "1", *EXACT)
    with closing(socket.create_server(("127.0.0.1", 0))) as stalling:  # takes connections, never answers
        closed = socket.create_server(("127.0.0.1", 0))
        ports = [closed.getsockname()[1], stalling.getsockname()[1]]
        closed.close()
        for verb, port in zip(("eval", "mine"), ports, strict=True):
            done = embedtune(verb, SAMPLE, *words, "--url", f"http://127.0.0.1:{port}", "--out", "out.json")
            assert done.returncode == 2
            assert "didn't do what was asked (time limit 1 s): " in done.stderr
            assert f"http://127.0.0.1:{port}" in done.stderr
            assert "run the same command again" in done.stderr
            assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("store", ["qdrant", pytest.param("milvus", marks=pytest.mark.slow)])
def test_a_server_that_stalls_in_the_middle_loses_nothing(embedtune, tiny_model, tmp_path, store, monkeypatch):
    published(embedtune, tiny_model, store, "--no-check")
    with _served(store, tmp_path / "store", monkeypatch) as (server, url):
        words = ("--encoder", tiny_model, "--index", store, "--url", url, *EXACT)
        soon = ("--store-timeout-s", "1")
        search, read = STALLS_AT[store]
        server.stalls_at = search
        stalled = embedtune("eval", SAMPLE, *words, *soon, "--split", "all", "--out", "out", "--cache-dir", "cache")
        assert stalled.returncode == 2
        assert "didn't do what was asked (time limit 1 s)" in stalled.stderr
        assert not (tmp_path / "out").exists()
        server.stalls_at = None
        again = embedtune("eval", SAMPLE, *words, "--split", "all", "--out", "out", "--cache-dir", "cache")
        assert again.returncode == 0, again.stderr
        assert "encoded 0 texts" in again.stderr  # the queries had been
        assert f"index {INDEX_OF_A_SERVER[store]}" in again.stderr
        assert "recall 1.0000" in again.stderr
        server.stalls_at = read
        cut = embedtune("mine", SAMPLE, *words, *soon, "--split", "all", "--out", "mined.json")
        assert (cut.returncode, (tmp_path / "mined.json").exists()) == (2, False)
        server.stalls_at = None
        mined = embedtune("mine", SAMPLE, *words, "--split", "all", "--out", "mined.json")
        assert mined.returncode == 0, mined.stderr
    here = embedtune("eval", SAMPLE, "--encoder", tiny_model, "--split", "all", *EXACT)
    assert again.stdout == here.stdout


def _served(store, folder, monkeypatch):
    if store == "qdrant":
        from tests.search import stalling_qdrant

        return stalling_qdrant.served(folder)
    from tests.search import stalling_milvus

    return stalling_milvus.served(folder, monkeypatch)
