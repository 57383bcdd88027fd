from __future__ import annotations

import json
import math

import pytest

from embedtune.data.training_set import TrainingExample, TrainingSet
from embedtune.models.encoder import EncoderOptions
from embedtune.train import time_limit
from embedtune.train.map_training import AdapterOptions
from embedtune.train.time_limit import TimeLimit, validation_steps
from embedtune.train.training import TrainOptions, train

FLOAT32 = EncoderOptions(precision="float32", device="cpu")
NO_TIME = 1e-6


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when told."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(time_limit, "time", clock)
    return clock


def after(clock, limit, *, steps, seconds):
    limit.steps_begin()
    for _ in range(steps):
        clock.now += seconds
        limit.step_done()


def test_cuts_the_steps_down_to_what_fits_beside_the_validations(clock):
    limit = TimeLimit(100, 1000, validation_steps=5)
    limit.begin()
    after(clock, limit, steps=4, seconds=1.0)
    assert limit.cut(4, validations=3)
    # 100 s less 4 % for saving, 4 that passed and 3 validations of 5 each leave 77 steps of a second
    assert limit.last_step == 4 + 77
    clock.now += 20
    limit.validated()
    assert limit.cut(4, validations=2)
    assert limit.last_step == 4 + 32
    assert not limit.cut(4, validations=1)


def test_is_over_when_no_step_fits_before_a_validation(clock):
    limit = TimeLimit(10, 1000, validation_steps=2)
    limit.begin(passed=3)
    after(clock, limit, steps=3, seconds=1.0)
    assert not limit.is_over(3)
    after(clock, limit, steps=1, seconds=1.0)
    assert limit.is_over(4)
    assert limit.last_step == 4


def test_without_a_limit_nothing_is_cut(clock):
    limit = TimeLimit(math.inf, 7, validation_steps=1)
    limit.begin()
    after(clock, limit, steps=6, seconds=1e9)
    assert not limit.cut(6, validations=1)
    assert not limit.is_over(6)
    assert limit.last_step == 7


def test_a_validation_counts_as_the_steps_that_encode_as_much():
    examples = [TrainingExample("q", "d", ("n1", "n2")), TrainingExample("q", "d")]
    assert validation_steps(examples, batch_size=10, documents=600) == pytest.approx(600 / 20 / 3)


@pytest.mark.parametrize("method", ["full", "adapter"])
def test_a_training_without_time_ends_cleanly_after_a_step(sample, tiny_model, tmp_path, method):
    options = {"epochs": 50, "batch_size": 4, "val_split": "train", "max_minutes": NO_TIME}
    made = {"full": TrainOptions, "adapter": AdapterOptions}[method](**options, learning_rate=3e-3)
    training_set = TrainingSet.build(sample, "train", sample.negative_docs, negatives_per_query=1)
    result = train(training_set, str(tiny_model), tmp_path / "m", method=method, options=made, encoder_options=FLOAT32)
    assert [checkpoint.step for checkpoint in result.checkpoints] == [0, 1]
    if method == "full":
        assert "1 of" in result.model.manifest["made_from"]["words"][0]


def test_the_learning_rate_comes_to_its_end_with_the_last_step_that_fits(sample, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(TimeLimit, "_last", lambda self, step, validations: 9)
    options = TrainOptions(epochs=50, batch_size=4, val_split="train", learning_rate=3e-3, max_minutes=5, validations=2)
    training_set = TrainingSet.build(sample, "train", sample.negative_docs, negatives_per_query=1)
    result = train(training_set, str(tiny_model), tmp_path / "m", options=options, encoder_options=FLOAT32)
    assert result.checkpoints[-1].step == 9
    lines = [json.loads(line) for line in (tmp_path / "m" / "training.jsonl").read_text().splitlines()]
    rates = {line["step"]: line["learning_rate"] for line in lines if "learning_rate" in line}
    assert rates[9] < 0.1 * options.learning_rate < 0.4 * options.learning_rate < rates[6]
