from __future__ import annotations

import json

import pytest
import torch
from sentence_transformers import SentenceTransformer

from embedtune.data.training_set import TrainingSet
from embedtune.errors import EmbedtuneError, StorageError
from embedtune.evaluate.evaluation import evaluate
from embedtune.mine.mining import mine_negatives
from embedtune.mine.options import MineOptions
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.tuned import TunedModel
from embedtune.search.dense import DenseRetriever
from embedtune.train import batches as training_batches
from embedtune.train.training import TrainOptions, train
from embedtune.train.validation import Validator

FLOAT32 = EncoderOptions(precision="float32")
QUICK = TrainOptions(epochs=12, batch_size=8, learning_rate=3e-3, validations=4, val_split="train")


@pytest.fixture
def training_set(sample, tiny_encoder):
    report = mine_negatives(sample, tiny_encoder)
    return TrainingSet.build(sample, "train", report.negatives, negatives_per_query=2)


def ndcg(dataset, folder, split="train"):
    retriever = DenseRetriever(load_encoder(folder, FLOAT32), dataset.corpus, EmbeddingCache(None))
    return evaluate(dataset, retriever, split=split).scores.mean("ndcg_at_10")


def test_learns_and_keeps_the_best_checkpoint(sample, training_set, tiny_model, tmp_path):
    result = train(training_set, str(tiny_model), tmp_path / "m", options=QUICK, encoder_options=FLOAT32)
    scores = [checkpoint.score for checkpoint in result.checkpoints]
    assert result.chosen.score == max(scores)
    assert result.chosen.score > scores[0] + 0.2
    assert ndcg(sample, tmp_path / "m") == pytest.approx(result.chosen.score, abs=1e-6)
    assert result.checkpoints[0].step == 0
    assert result.checkpoints[0].loss is None
    assert result.checkpoints[-1].loss < result.checkpoints[1].loss
    assert TunedModel.open(tmp_path / "m").manifest["made_from"]["chosen"]["step"] == result.chosen.step


def test_the_base_model_comes_out_if_training_only_hurts(training_set, tiny_model, tmp_path):
    destroy = QUICK.model_copy(update={"learning_rate": 5.0, "epochs": 2})
    result = train(training_set, str(tiny_model), tmp_path / "m", options=destroy, encoder_options=FLOAT32)
    assert result.chosen.step == 0
    assert load_encoder(tmp_path / "m", FLOAT32).fingerprint == load_encoder(tiny_model, FLOAT32).fingerprint


def test_loads_with_plain_sentence_transformers_prompts_included(training_set, tiny_model, tmp_path, sample):
    options = EncoderOptions(precision="float32", query_instruction="查询：", max_length=64)
    train(
        training_set,
        str(tiny_model),
        tmp_path / "m",
        options=QUICK.model_copy(update={"epochs": 1}),
        encoder_options=options,
    )
    plain = SentenceTransformer(str(tmp_path / "m"), device="cpu")
    assert plain.prompts["query"] == "查询："
    assert plain.max_seq_length == 64
    ours = load_encoder(tmp_path / "m", FLOAT32)
    texts = list(sample.queries.values())
    assert torch.allclose(
        torch.from_numpy(plain.encode_query(texts)), torch.from_numpy(ours.encode(texts, "query")), atol=2e-6
    )
    assert not list((tmp_path / "m").rglob("*.bin"))


def test_every_epoch_has_new_batches_and_the_last_step_is_validated(sample, tiny_model, tmp_path, monkeypatch):
    made = TrainingSet.build(sample, "train")
    seeds = []
    batches_of = training_batches.conflict_free_batches

    def fewer_each_time(training_set, batch_size, seed):
        seeds.append(seed)
        return batches_of(training_set, batch_size, seed)[: 3 if seed == 7 else 2]

    monkeypatch.setattr(training_batches, "conflict_free_batches", fewer_each_time)
    options = TrainOptions(epochs=2, batch_size=4, validations=1, val_split="train", seed=7)
    result = train(made, str(tiny_model), tmp_path / "m", options=options, encoder_options=FLOAT32)
    assert {7, 8} <= set(seeds)
    assert [checkpoint.step for checkpoint in result.checkpoints] == [0, 5]


def test_same_seed_same_weights(training_set, tiny_model, tmp_path):
    quick = QUICK.model_copy(update={"epochs": 2})
    for name in ("a", "b"):
        train(training_set, str(tiny_model), tmp_path / name, options=quick, encoder_options=FLOAT32)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b")]
    assert weights[0] == weights[1]


def test_a_loss_that_is_no_number_leaves_nothing(training_set, tiny_model, tmp_path):
    broken = SentenceTransformer(str(tiny_model), device="cpu")
    with torch.no_grad():
        for parameter in broken.parameters():
            parameter.mul_(1e30)
    broken.save_pretrained(str(tmp_path / "broken"), create_model_card=False)
    with pytest.raises(EmbedtuneError, match=r"isn't finite|the loss is"):
        train(training_set, str(tmp_path / "broken"), tmp_path / "m", options=QUICK, encoder_options=FLOAT32)
    assert not (tmp_path / "m").exists()


def test_an_existing_model_is_kept(training_set, tiny_model, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "precious").write_text("x")
    with pytest.raises(StorageError, match="exists already"):
        train(training_set, str(tiny_model), tmp_path / "m", options=QUICK, encoder_options=FLOAT32)


def test_a_sample_of_the_corpus_keeps_what_is_relevant(sample):
    validator = Validator(
        sample,
        "val",
        measure="ndcg_at_10",
        max_documents=10,
        seed=0,
        encoder_options=FLOAT32,
        cache=EmbeddingCache(None),
    )
    assert len(validator.corpus) == 10
    assert {d for query in sample.queries_split["val"] for d in sample.positives(query)} <= set(validator.corpus)


def test_a_sample_of_the_corpus_keeps_what_is_mined(sample):
    mined = ["zh-tea", "en-tea", "en-rust"]
    validator = Validator(
        sample,
        "val",
        measure="ndcg_at_10",
        max_documents=1,
        seed=0,
        encoder_options=FLOAT32,
        cache=EmbeddingCache(None),
        mined=mined,
    )
    relevant = {d for query in sample.queries_split["val"] for d in sample.positives(query)}
    assert set(validator.corpus) == relevant.union(mined)


def test_stops_when_nothing_is_gained(training_set, tiny_model, tmp_path):
    destroy = QUICK.model_copy(update={"learning_rate": 5.0, "epochs": 5, "validations": 10, "patience": 2})
    result = train(training_set, str(tiny_model), tmp_path / "m", options=destroy, encoder_options=FLOAT32)
    assert [checkpoint.step for checkpoint in result.checkpoints] == [0, 1, 2]
    assert result.chosen.step == 0


def test_writes_a_line_a_step_and_a_curve(training_set, tiny_model, tmp_path):
    options = QUICK.model_copy(update={"epochs": 2})
    result = train(training_set, str(tiny_model), tmp_path / "m", options=options, encoder_options=FLOAT32)
    lines = [json.loads(line) for line in (tmp_path / "m" / "training.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert [line["step"] for line in steps] == list(range(1, len(steps) + 1))
    assert {"loss", "learning_rate", "grad_norm", "seconds"} <= steps[0].keys()
    assert max(line["learning_rate"] for line in steps) == pytest.approx(options.learning_rate)
    scored = [(line["step"], line["ndcg_at_10"]) for line in lines if "ndcg_at_10" in line]
    assert scored == [(checkpoint.step, checkpoint.score) for checkpoint in result.checkpoints]
    assert "ndcg_at_10" in (tmp_path / "m" / "learning_curve.svg").read_text()
    made_from = result.model.manifest["made_from"]
    assert made_from["sizes"]["batch_size"] == 8
    assert made_from["options"]["scale"] in (10, 20, 30, 50, 100)


def test_gradient_checkpointing_gives_the_same(training_set, tiny_model, tmp_path):
    weights = []
    for forward in ("auto", "sentence-transformers"):
        for recomputed in (False, True):
            options = QUICK.model_copy(update={"epochs": 1, "gradient_checkpointing": recomputed})
            encoder_options = FLOAT32.model_copy(update={"forward": forward})
            folder = tmp_path / f"{forward}-{recomputed}"
            result = train(training_set, str(tiny_model), folder, options=options, encoder_options=encoder_options)
            weights.append([checkpoint.loss for checkpoint in result.checkpoints[1:]])
    for other in weights[1:]:
        assert other == pytest.approx(weights[0], rel=1e-3)


def test_the_doctor_looks_at_the_negatives_before_the_first_step(sample, tiny_model, tmp_path):
    nearest = mine_negatives(
        sample, load_encoder(tiny_model, FLOAT32), options=MineOptions(strategy="rank-window", depth=5)
    )
    training_set = TrainingSet.build(sample, "train", nearest.negatives, negatives_per_query=4)
    options = QUICK.model_copy(update={"epochs": 1})
    result = train(training_set, str(tiny_model), tmp_path / "m", options=options, encoder_options=FLOAT32)
    doubts = result.model.manifest["made_from"]["doubts"]
    assert "score under one of their own negatives" in doubts[-1]
    without = TrainingSet.build(sample, "train")
    result = train(without, str(tiny_model), tmp_path / "n", options=options, encoder_options=FLOAT32)
    assert result.model.manifest["made_from"]["doubts"] == []
