from __future__ import annotations

import pytest

from embedtune.data.training_set import TrainingSet
from embedtune.errors import OptionsError
from embedtune.models.encoder import EncoderOptions
from embedtune.models.sentence_transformer import load_model
from embedtune.train import sizes as training_sizes
from embedtune.train.options import TrainOptions
from embedtune.train.sizes import choose_sizes

FLOAT32 = EncoderOptions(precision="float32", device="cpu")


@pytest.fixture
def training_set(sample):
    return TrainingSet.build(sample, "train", sample.negative_docs, 2)


@pytest.fixture
def model(tiny_model):
    return load_model(str(tiny_model), FLOAT32)


def test_what_is_asked_for_is_taken(model, training_set):
    found = choose_sizes(model, training_set, TrainOptions(batch_size=5, micro_batch_size=3), FLOAT32)
    assert (found.batch_size, found.micro_batch_size, found.precision, str(found.device)) == (5, 3, "float32", "cpu")
    assert 0 < found.tokens <= found.long_tokens <= 128


def test_less_memory_means_smaller_micro_batches(model, training_set, monkeypatch):
    found = []
    for megabytes in (1, 10, 100):
        monkeypatch.setattr(training_sizes, "_free_bytes", lambda device, m=megabytes: m * 1_000_000)
        found.append(choose_sizes(model, training_set, TrainOptions(), FLOAT32).micro_batch_size)
    assert found == sorted(set(found))
    assert found[0] >= 1
    monkeypatch.setattr(training_sizes, "_free_bytes", lambda device: 10_000_000)
    recomputed = TrainOptions(gradient_checkpointing=True)
    assert choose_sizes(model, training_set, recomputed, FLOAT32).micro_batch_size > found[1]


def test_few_examples_make_small_batches(model, sample, training_set):
    assert choose_sizes(model, training_set, TrainOptions(), FLOAT32).batch_size == 8
    many = TrainingSet(sample, training_set.examples * 50, training_set.conflicts)
    assert choose_sizes(model, many, TrainOptions(), FLOAT32).batch_size == 32


def test_float16_needs_a_gpu(model, training_set):
    with pytest.raises(OptionsError, match="float16 needs a GPU"):
        choose_sizes(model, training_set, TrainOptions(), FLOAT32.model_copy(update={"precision": "float16"}))
