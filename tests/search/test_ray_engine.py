"""The engine ray without a cluster: what it refuses, resumes and says."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from tests.conftest import SAMPLE
from tests.search.ray_stand_in import stand_in

from embedtune import progress
from embedtune.data import table_folder
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import EncoderError, OptionsError, StorageError
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.search.engine import Engine
from embedtune.search.engine_options import EngineOptions

ray = pytest.importorskip("ray")
FLOAT32 = EncoderOptions(precision="float32")
OPTIONS = EngineOptions(engine="ray", block_documents=10)


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    stand_in(monkeypatch)
    monkeypatch.setattr(table_folder, "_ROWS_A_GROUP", 10)


@pytest.fixture
def corpus(tmp_path, sample):
    sample.write(tmp_path / "d")
    return RetrievalDataset.read(tmp_path / "d").corpus


def test_a_dataset_that_is_one_file_is_refused_with_the_way_out(embedtune, tiny_model):
    done = embedtune("eval", SAMPLE, "--encoder", tiny_model, "--engine", "ray")
    assert done.returncode == 2
    assert "embedtune import embedtune D --out FOLDER" in done.stderr


def test_what_makes_no_sense_is_refused(embedtune, tiny_model, corpus, tiny_encoder):
    for words in (
        ("eval", "d", "--retriever", "bm25", "--engine", "ray"),
        ("eval", "d", "--encoder", tiny_model, "--engine", "rya"),
        ("eval", "d", "--encoder", tiny_model, "--engine", "ray", "--block-documents", 0),
    ):
        assert embedtune(*words).returncode == 2
    with pytest.raises(OptionsError, match="needs the encoder's name"):
        Engine(OPTIONS).encode_corpus(tiny_encoder, corpus, EmbeddingCache("c"))
    with pytest.raises(OptionsError, match="needs a place for vectors"):
        Engine(OPTIONS, "minilm").encode_corpus(tiny_encoder, corpus, EmbeddingCache(None))


def test_eval_prints_what_it_prints_here(embedtune, tiny_model, corpus, tmp_path):
    words = ("eval", "d", "--encoder", tiny_model, "--precision", "float32", "--split", "all")
    at_ray = ("--engine", "ray", "--block-documents", 10, "--vectors", "v")
    here, there, again = embedtune(*words), embedtune(*words, *at_ray), embedtune(*words, *at_ray)
    assert there.stdout == here.stdout == again.stdout
    assert json.loads(there.stdout)["ndcg_at_10"] > 0
    assert "blocks in" in there.stderr
    assert "0 encoded, 3 were there" in again.stderr
    assert "encoded 0 texts" in again.stderr
    assert len(list((tmp_path / "v").rglob("*.parquet"))) == 3


def test_only_the_block_that_changed_is_encoded_again(tiny_model, tiny_encoder, sample, tmp_path):
    engine, counts = Engine(OPTIONS, str(tiny_model), FLOAT32), []
    for change in ({}, {}, {"en-kettle": "水壶里的水垢怎么去除"}):
        changed = RetrievalDataset(sample.queries, {**sample.corpus, **change}, sample.relevant_docs)
        changed.write(tmp_path / "d")
        cache = EmbeddingCache(tmp_path / "c")
        engine.encode_corpus(tiny_encoder, RetrievalDataset.read(tmp_path / "d").corpus, cache)
        counts.append(cache.encoded)
    assert counts == [len(sample.corpus), 0, 10]


def test_a_damaged_shard_is_encoded_again_and_found_by_search(tiny_model, tiny_encoder, corpus, tmp_path, capsys):
    engine = Engine(OPTIONS, str(tiny_model), FLOAT32)
    found = engine.encode_corpus(tiny_encoder, corpus, EmbeddingCache(tmp_path / "c"))
    shard = min((tmp_path / "c").rglob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-1])
    queries = tiny_encoder.encode(["水壶"], "query")
    with pytest.raises(StorageError, match="the shard of vectors can't be read") as caught:
        found.search_rows(queries, 3)
    assert str(shard) in str(caught.value)
    shard.unlink()
    with pytest.raises(StorageError, match="the shard of vectors can't be read"):
        found.vectors_of(found.search_rows(queries, 3).rows[0])
    shard.write_bytes(b"PAR1")
    with progress.shown():
        engine.encode_corpus(tiny_encoder, corpus, EmbeddingCache(tmp_path / "c"))
    assert "0 encoded, 2 were there, 1 were damaged and encoded again" in capsys.readouterr().err
    found.search_rows(queries, 3)


def test_workers_with_another_model_or_that_disagree_are_told(
    tiny_model, tiny_encoder, corpus, tmp_path, tmp_path_factory, monkeypatch
):
    from tests.conftest import build_tiny_model

    other = build_tiny_model(tmp_path_factory.mktemp("other"), seed=1)
    with pytest.raises(EncoderError, match="another model under this name"):
        Engine(OPTIONS, str(other), FLOAT32).encode_corpus(tiny_encoder, corpus, EmbeddingCache(tmp_path / "c"))
    from tests.search.ray_stand_in import do_here

    from embedtune.search.engines import ray as engine

    def half_in_bfloat16(jobs, work, workers, arguments):
        job = arguments["job"]
        yield from do_here(jobs[:2], work, workers, arguments)
        other_job = job._replace(encoder_options=EncoderOptions(precision="bfloat16"))
        yield from do_here(jobs[2:], work, workers, {"job": other_job})

    monkeypatch.setattr(engine, "on_workers", half_in_bfloat16)
    with pytest.raises(EncoderError, match=r"two workers encode differently.*bfloat16"):
        Engine(OPTIONS, str(tiny_model), FLOAT32).encode_corpus(tiny_encoder, corpus, EmbeddingCache(tmp_path / "e"))


def test_workers_that_compute_otherwise_than_this_process_are_said(tiny_model, corpus, tmp_path, capsys):
    here = load_encoder(tiny_model, EncoderOptions(precision="bfloat16"))
    with progress.shown():
        Engine(OPTIONS, str(tiny_model), FLOAT32).encode_corpus(here, corpus, EmbeddingCache(tmp_path / "c"))
    assert "documents with precision 'float32', here 'bfloat16'" in capsys.readouterr().err


def test_relative_paths_reach_workers_elsewhere(tiny_model, corpus, tmp_path, monkeypatch):
    from embedtune.search.engines.ray import _job

    monkeypatch.chdir(tiny_model.parent)
    engine = Engine(EngineOptions(engine="ray", vectors="v"), tiny_model.name, FLOAT32)
    job = _job(corpus, EmbeddingCache(None), engine)
    assert job.encoder_name == str(tiny_model)
    assert job.folder == str(Path.cwd() / "v")
    monkeypatch.chdir(tmp_path)
    texts = RetrievalDataset.read("d").corpus
    sent = pickle.dumps(texts)
    monkeypatch.chdir(tmp_path.parent)
    assert dict(pickle.loads(sent)) == dict(corpus)  # noqa: S301 - as Ray does


def test_a_cluster_that_does_not_answer_is_named(monkeypatch):
    from embedtune.search.ray_cluster import connect

    def silent(**_):
        raise ConnectionError("Failed to connect") from RuntimeError("InvalidAuthToken: no token\nand more")

    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")
    monkeypatch.setattr("embedtune.search.ray_cluster.ray.init", silent)
    with pytest.raises(StorageError, match=r"RAY_ADDRESS=192\.0\.2\.1:6379") as caught:
        connect()
    assert "can't be joined: InvalidAuthToken: no token\n" in str(caught.value)
    assert "unset RAY_ADDRESS" in str(caught.value)
    assert "and more" not in str(caught.value)


def test_workers_are_what_the_cluster_has_room_for(monkeypatch):
    from embedtune.search.ray_cluster import Workers, workers_of

    monkeypatch.setattr("embedtune.search.ray_cluster.ray.cluster_resources", lambda: {"CPU": 16.0, "GPU": 4.0})
    assert workers_of(EngineOptions(), on_gpus=False) == Workers(16, 1, 0)
    assert workers_of(EngineOptions(cores_per_worker=5), on_gpus=False) == Workers(3, 5, 0)
    assert workers_of(EngineOptions(cores_per_worker=2), on_gpus=True) == Workers(4, 2, 1)
    assert workers_of(EngineOptions(workers=2), on_gpus=True) == Workers(2, 1, 1)
    with pytest.raises(OptionsError, match="17 cores, and the whole cluster has 16"):
        workers_of(EngineOptions(cores_per_worker=17), on_gpus=False)
