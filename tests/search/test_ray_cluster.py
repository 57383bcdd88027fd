"""A real Ray cluster of two workers: the same results, and what happens when a worker, a disk or a block fails."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from pyarrow.parquet import ParquetFile

from embedtune.data import table_folder
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import DataError, StorageError
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions
from embedtune.models.shard import read_shard
from embedtune.search.engine import Engine
from embedtune.search.engine_options import EngineOptions

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

FLOAT32 = EncoderOptions(precision="float32")
BLOCKS, A_BLOCK = 12, 200


@pytest.fixture(scope="module")
def cluster():
    """The cluster that --engine ray starts where RAY_ADDRESS isn't set; its address."""
    from embedtune.search.ray_cluster import connect

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        connect()
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "d"
    texts = {f"文档{number:04}": f"第{number}篇：水壶 kettle {number % 7} " * 12 for number in range(BLOCKS * A_BLOCK)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_folder, "_ROWS_A_GROUP", A_BLOCK)
        RetrievalDataset({"q": "水壶"}, texts, {"q": ["文档0000"]}).write(folder)
    return folder


@pytest.fixture
def encode(cluster, tiny_model, tiny_encoder, corpus_folder):
    """Encodes a corpus into a folder; returns what was encoded and how many texts it took."""
    engine = Engine(EngineOptions(engine="ray", block_documents=A_BLOCK, workers=2), str(tiny_model), FLOAT32)

    def run(folder, dataset=corpus_folder):
        cache = EmbeddingCache(folder)
        return engine.encode_corpus(tiny_encoder, RetrievalDataset.read(dataset).corpus, cache), cache.encoded

    return run


def shards(folder):
    """Returns path → (time written, inode): a shard that is written again has others."""
    found = {path: path.stat() for path in Path(folder).rglob("*.parquet")}
    return {path: (status.st_mtime_ns, status.st_ino) for path, status in found.items()}


def block_encoders():
    """Returns the process ids of this cluster's actors that encode."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "BlockEncoder" in " ".join(process.cmdline()):
                found.append(process.pid)
    return found


def assert_whole(encoded, folder, tiny_encoder, corpus_folder):
    """Every document has one vector, the right one; nothing else lies in the folder."""
    corpus = RetrievalDataset.read(corpus_folder).corpus
    ids = [one for path in shards(folder) for one in read_shard(str(path)).ids]
    assert sorted(ids) == sorted(corpus)
    assert np.allclose(encoded.vectors, tiny_encoder.encode(list(corpus.values()), "document"), atol=1e-5)


def test_eval_and_mine_are_those_of_this_process(cluster, embedtune_process, tiny_model, sample, tmp_path):
    """In a process of its own that joins the cluster at RAY_ADDRESS; the questions are Chinese and English."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_folder, "_ROWS_A_GROUP", 7)
        sample.write(tmp_path / "d")
    words = ("d", "--encoder", tiny_model, "--precision", "float32", "--split", "all")
    at_ray = ("--engine", "ray", "--block-documents", 7, "--vectors", tmp_path / "vectors")
    here = embedtune_process("eval", *words, "--out", "here")
    there = embedtune_process("eval", *words, "--out", "there", *at_ray, RAY_ADDRESS=cluster)
    assert (there.returncode, there.stdout) == (0, here.stdout), there.stderr
    runs = [(tmp_path / name / "run.trec").read_text(encoding="utf-8").split("\n") for name in ("here", "there")]
    assert [line.split()[:4] for line in runs[0]] == [line.split()[:4] for line in runs[1]]
    assert json.loads((tmp_path / "there" / "embedtune.json").read_text())["made_from"]["engine"] == "ray"
    assert len(shards(tmp_path / "vectors")) == 4
    before = shards(tmp_path / "vectors")
    rule = ("--strategy", "rank-window", "--to", 10, "--sample", 5)
    mined = [
        embedtune_process("mine", *words, *rule, "--json", "--out", out, *more, RAY_ADDRESS=cluster)
        for out, more in (("here.json", ()), ("there.json", at_ray))
    ]
    assert mined[1].returncode == 0, mined[1].stderr
    reports = [json.loads(done.stdout)["mined"] for done in mined]
    assert reports[0]["negatives"] == reports[1]["negatives"] > 20
    negatives = [RetrievalDataset.read(tmp_path / name).negative_docs for name in ("here.json", "there.json")]
    assert negatives[0] == negatives[1]
    assert "4 were there" in mined[1].stderr
    assert shards(tmp_path / "vectors") == before


def test_a_killed_worker_loses_and_repeats_nothing(encode, tmp_path, tiny_encoder, corpus_folder):
    at_kill = {}

    def kill_one():
        for _ in range(60_000):
            if 2 <= len(shards(tmp_path)) < BLOCKS - 2 and (workers := block_encoders()):
                os.kill(workers[0], signal.SIGKILL)
                at_kill.update(shards(tmp_path))
                return
            time.sleep(0.005)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    encoded, _ = encode(tmp_path)
    killer.join(1)
    assert 2 <= len(at_kill) < BLOCKS
    after = shards(tmp_path)
    assert {path: after[path] for path in at_kill} == at_kill
    assert len(after) == BLOCKS
    assert_whole(encoded, tmp_path, tiny_encoder, corpus_folder)


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can't be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_a_rerun_goes_on(encode, small_disk, tiny_encoder, corpus_folder):
    with pytest.raises(StorageError, match=r"no space left to write .*parquet") as caught:
        encode(small_disk)
    assert "block" in str(caught.value)
    first = shards(small_disk)
    assert 0 < len(first) < BLOCKS
    for path in first:
        read_shard(str(path))
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    encoded, count = encode(small_disk)
    after = shards(small_disk)
    assert {path: after[path] for path in first} == first
    assert count == (BLOCKS - len(first)) * A_BLOCK
    assert_whole(encoded, small_disk, tiny_encoder, corpus_folder)


def test_a_corrupt_block_is_named_and_the_others_are_kept(encode, tmp_path, tiny_encoder, corpus_folder):
    broken, vectors = tmp_path / "broken", tmp_path / "vectors"
    subprocess.run(["cp", "-r", str(corpus_folder), str(broken)], check=True)
    file = broken / "corpus.parquet"
    whole = file.read_bytes()
    column = ParquetFile(file).metadata.row_group(4).column(1)
    end = column.data_page_offset + column.total_compressed_size  # the page's header, before, may hold any statistics
    file.write_bytes(whole[: end - 60] + bytes(60) + whole[end:])
    with pytest.raises(DataError, match=r"block 4 \(documents 801 to 1,000\) can't be read: corpus.parquet") as caught:
        encode(vectors, broken)
    assert "the other 11 blocks are kept" in str(caught.value)
    before = shards(vectors)
    assert len(before) == BLOCKS - 1
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"corpus\.parquet can't be read as Parquet"):
        encode(vectors, broken)
    file.write_bytes(whole)
    cut_off = min(before)
    cut_off.write_bytes(cut_off.read_bytes()[:-100])
    encoded, count = encode(vectors, broken)
    assert count == 2 * A_BLOCK
    after = shards(vectors)
    assert {path for path in before if after[path] == before[path]} == set(before) - {cut_off}
    assert_whole(encoded, vectors, tiny_encoder, corpus_folder)
