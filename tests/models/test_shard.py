from __future__ import annotations

import errno

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from embedtune import artifact
from embedtune.errors import StorageError
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.shard import ShardError, read_shard, shard_url, write_shard
from embedtune.models.stored import document_way, text_keys

BLOCK = {"a": "one", "文档": "第二篇", "c": "one"}
WAY = {"weights": "x", "kind": "document"}


def vectors(dtype=np.float32):
    return np.random.default_rng(0).standard_normal((3, 5)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("place", ["disk", "memory://vectors"])
def test_comes_back_as_it_was(tmp_path, dtype, place):
    url = shard_url(str(tmp_path) if place == "disk" else place, WAY, BLOCK)
    write_shard(url, BLOCK, vectors(dtype), WAY)
    shard = read_shard(url)
    assert shard.ids == list(BLOCK)
    assert shard.vectors.dtype == dtype
    assert (shard.vectors == vectors(dtype)).all()


def test_any_tool_can_read_ids_keys_and_vectors(tmp_path):
    url = shard_url(str(tmp_path), WAY, BLOCK)
    write_shard(url, BLOCK, vectors(), WAY)
    table = pq.read_table(url)
    assert table.column_names == ["id", "key", "vector"]
    assert table["key"].to_pylist() == [key.tobytes() for key in text_keys(list(BLOCK.values()))]
    assert np.allclose(table["vector"].to_pylist(), vectors())


def test_the_name_is_of_ids_and_texts_and_the_way():
    urls = {
        shard_url("f", way, block)
        for way in (WAY, WAY | {"prompt": "为"})
        for block in (BLOCK, {**BLOCK, "a": "two"}, {"b" if k == "a" else k: v for k, v in BLOCK.items()}, {"a": "one"})
    }
    assert len(urls) == 8
    assert shard_url("f", WAY, BLOCK) == shard_url("f/", dict(reversed(WAY.items())), dict(BLOCK))


def test_cut_off_or_changed_anywhere_it_is_no_shard(tmp_path):
    url = shard_url(str(tmp_path), WAY, BLOCK)
    with pytest.raises(FileNotFoundError):
        read_shard(url)
    write_shard(url, BLOCK, vectors(), WAY)
    (file,) = tmp_path.glob("*/*.parquet")
    whole = file.read_bytes()
    for size in range(0, len(whole), 7):
        file.write_bytes(whole[:size])
        with pytest.raises(ShardError):
            read_shard(url)
    values = whole.index(vectors().tobytes())
    for place in range(values, values + 60, 5):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ShardError):
            read_shard(url)


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(artifact.os, "fdopen", full)
    with pytest.raises(StorageError, match="no space left"):
        write_shard(shard_url(str(tmp_path), WAY, BLOCK), BLOCK, vectors(), WAY)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_store_that_refuses_is_named(monkeypatch):
    def refused(*_, **__):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "pipe_file", refused)
    with pytest.raises(StorageError, match=r"can't write memory://bucket/.*Access Denied"):
        write_shard(shard_url("memory://bucket", WAY, BLOCK), BLOCK, vectors(), WAY)


def test_the_way_names_what_the_cache_names(tiny_model):
    ways = [
        document_way(load_encoder(tiny_model, EncoderOptions(**options)), precision)
        for options in ({"precision": "float32"}, {"precision": "float32", "max_length": 16}, {"precision": "bfloat16"})
        for precision in ("float32", "float16")
    ]
    told = EncoderOptions(precision="float32", document_instruction="文：")
    ways.append(document_way(load_encoder(tiny_model, told), "float32"))
    assert len({shard_url("f", way, BLOCK) for way in ways}) == 7
    queries = EncoderOptions(precision="float32", query_instruction="为这个句子")
    assert document_way(load_encoder(tiny_model, queries), "float32") == ways[0]
