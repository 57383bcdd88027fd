from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from embedtune.data.training_set import TrainingSet
from embedtune.errors import DataError, EncoderError
from embedtune.evaluate.evaluation import evaluate
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.search.dense import DenseRetriever
from embedtune.train.methods.adapter import AdapterOptions
from embedtune.train.training import train

FLOAT32 = EncoderOptions(precision="float32")
QUICK = AdapterOptions(epochs=80, batch_size=8, learning_rate=3e-2, validations=4, val_split="train")


@pytest.fixture
def training_set(sample):
    return TrainingSet.build(sample, "train")


def tune(training_set, model, folder, cache=None, **changes):
    options = QUICK.model_copy(update=changes)
    return train(
        training_set, str(model), folder, method="adapter", options=options, encoder_options=FLOAT32, cache=cache
    )


def ndcg(dataset, folder, split="train"):
    retriever = DenseRetriever(load_encoder(folder, FLOAT32), dataset.corpus, EmbeddingCache(None))
    return evaluate(dataset, retriever, split=split).scores.mean("ndcg_at_10")


@pytest.mark.parametrize("shape", ["linear", "low-rank", "hidden"])
def test_every_shape_starts_at_the_base_and_learns(training_set, sample, tiny_model, tmp_path, shape):
    result = tune(training_set, tiny_model, tmp_path / "m", shape=shape, rank=8, units=16)
    assert result.checkpoints[0].score == ndcg(sample, tiny_model)
    assert result.chosen.score > result.checkpoints[0].score + 0.1
    assert ndcg(sample, tmp_path / "m") == pytest.approx(result.chosen.score, abs=1e-6)


def test_no_text_is_encoded_that_the_cache_holds(training_set, sample, tiny_model, tiny_encoder, tmp_path):
    evaluate(sample, DenseRetriever(tiny_encoder, sample.corpus, EmbeddingCache(tmp_path / "c")), split="all")
    cache = EmbeddingCache(tmp_path / "c")
    result = tune(training_set, tiny_model, tmp_path / "m", cache)
    assert cache.encoded == 0
    assert result.model.manifest["made_from"]["encoded"] == {"documents": 0, "queries": 0}
    tuned = load_encoder(tmp_path / "m", FLOAT32)
    evaluate(sample, DenseRetriever(tuned, sample.corpus, cache), split="all")
    assert cache.encoded == 0


def test_decay_pulls_to_the_identity(training_set, tiny_model, tmp_path):
    queries = ["egg", "茶"]
    away = []
    for decay in (0.0, 30.0):
        folder = tmp_path / str(decay)
        tune(training_set, tiny_model, folder, weight_decay=decay, validations=1)
        tuned = load_encoder(folder, FLOAT32)
        away.append(np.abs(tuned.encode(queries, "query") - tuned.base.encode(queries, "query")).max())
    assert away[1] < away[0] / 3


def test_same_seed_same_map(training_set, tiny_model, tmp_path):
    prints = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        tune(training_set, tiny_model, tmp_path / name, shape="hidden", seed=seed)
        prints.append(load_encoder(tmp_path / name, FLOAT32).cache_key["query_map"])
    assert prints[0] == prints[1] != prints[2]


def test_folded_is_one_model_for_both_sides(training_set, sample, tiny_model, tmp_path):
    result = tune(training_set, tiny_model, tmp_path / "m", fold=True)
    record = result.model.manifest["made_from"]
    assert record["unfolded"]["score"] >= result.chosen.score > result.checkpoints[0].score
    assert ndcg(sample, tmp_path / "m") == pytest.approx(result.chosen.score, abs=1e-6)
    tuned = load_encoder(tmp_path / "m", FLOAT32)
    np.testing.assert_array_equal(tuned.encode(["tea"], "query"), tuned.encode(["tea"], "document"))
    assert not tuned.normalise


def test_an_adapter_on_an_adapter_is_refused(training_set, tiny_model, tmp_path):
    tune(training_set, tiny_model, tmp_path / "m")
    for method in ("adapter", "full", "lora"):
        with pytest.raises(EncoderError, match="name the model that it was made from"):
            train(training_set, str(tmp_path / "m"), tmp_path / "n", method=method, encoder_options=FLOAT32)
    assert not (tmp_path / "n").exists()


def test_val_queries_without_documents(training_set, sample, tiny_model, tmp_path):
    judged = {query_id: docs for query_id, docs in sample.relevant_docs.items() if query_id not in {"q17", "q18"}}
    dataset = dataclasses.replace(sample, relevant_docs=judged, queries_split={"val": ["q17", "q18"]})
    bare = dataclasses.replace(training_set, dataset=dataset)
    with pytest.raises(DataError, match="no query of the split 'val', which chooses"):
        tune(bare, tiny_model, tmp_path / "m", val_split="val")
    assert not (tmp_path / "m").exists()
