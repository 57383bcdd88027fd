"""A training that is stopped goes on to the same weights, bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from tests.conftest import SAMPLE

from embedtune.data.training_set import TrainingSet
from embedtune.models.encoder import EncoderOptions
from embedtune.train.checkpoints import Snapshot, WorkFolder, key_of
from embedtune.train.methods.lora import LoraOptions
from embedtune.train.step import TrainingStep
from embedtune.train.training import TrainOptions, train

FLOAT32 = EncoderOptions(precision="float32", device="cpu")
OFTEN = {"checkpoint_minutes": 0, "val_split": "train", "learning_rate": 3e-3, "batch_size": 4, "epochs": 3}


@pytest.fixture
def training_set(sample):
    return TrainingSet.build(sample, "train", sample.negative_docs, negatives_per_query=2)


def work_folders(folder):
    return list(folder.parent.glob(f".{folder.name}.*.training"))


def stop_before(monkeypatch, number):
    """Lets the training be interrupted, as by Ctrl-C, in place of that step."""
    call, seen = TrainingStep.__call__, []

    def counted(self, positions, backward):
        seen.append(positions)
        if len(seen) == number:
            raise KeyboardInterrupt
        return call(self, positions, backward)

    monkeypatch.setattr(TrainingStep, "__call__", counted)
    return seen


@pytest.mark.parametrize(
    ("method", "options"),
    [
        pytest.param("full", TrainOptions(**OFTEN, validations=4, dropout=True), marks=pytest.mark.slow),
        ("full", TrainOptions(**OFTEN, validations=2, micro_batch_size=3, dropout=True)),
        pytest.param(
            "lora",
            LoraOptions(**(OFTEN | {"learning_rate": 1e-2}), lora_dropout=0.1, dropout=True),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["full", "micro-batches", "lora"],
)
def test_goes_on_to_the_same_weights(training_set, tiny_model, tmp_path, monkeypatch, method, options):
    def run(name):
        folder = tmp_path / name
        return train(training_set, str(tiny_model), folder, method=method, options=options, encoder_options=FLOAT32)

    whole = run("whole")
    with monkeypatch.context() as patched:
        before = stop_before(patched, 7)
        with pytest.raises(KeyboardInterrupt):
            run("cut")
    assert len(work_folders(tmp_path / "cut")) == 1
    assert not (tmp_path / "cut").exists()
    with monkeypatch.context() as patched:
        after = stop_before(patched, 1000)
        cut = run("cut")
    total = len([line for line in whole_log(whole) if "loss" in line])
    assert len(after) == total - 6
    assert before[6] == after[0]
    for file in ("model.safetensors", *(["adapter/adapter_model.safetensors"] if method == "lora" else [])):
        assert (cut.model.folder / file).read_bytes() == (whole.model.folder / file).read_bytes()
    assert cut.checkpoints == whole.checkpoints
    assert cut.chosen.step > 0
    without_time = [[{k: v for k, v in line.items() if k != "seconds"} for line in whole_log(r)] for r in (whole, cut)]
    assert without_time[0] == without_time[1]
    assert not work_folders(tmp_path / "cut")


def whole_log(result):
    text = (result.model.folder / "training.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.slow
def test_other_options_begin_anew(training_set, tiny_model, tmp_path, monkeypatch):
    options = TrainOptions(**OFTEN)
    with monkeypatch.context() as patched:
        stop_before(patched, 5)
        with pytest.raises(KeyboardInterrupt):
            train(training_set, str(tiny_model), tmp_path / "m", options=options, encoder_options=FLOAT32)
    other = options.model_copy(update={"learning_rate": 1e-3})
    result = train(training_set, str(tiny_model), tmp_path / "m", options=other, encoder_options=FLOAT32)
    assert whole_log(result)[1]["step"] == 1
    assert not work_folders(tmp_path / "m")


def test_a_snapshot_comes_back_as_it_was(tmp_path):
    work = WorkFolder(tmp_path / "out", key_of({"a": 1}))
    assert work.latest() is None
    weights = {"w.bias": torch.arange(3.0)}
    optimizer = {
        "state": {0: {"step": torch.tensor(4.0), "exp_avg": torch.ones(3)}},
        "param_groups": [{"lr": 0.1, "betas": [0.9, 0.999], "params": [0]}],
    }
    log = [{"step": 1, "loss": 0.5}]
    snapshot = Snapshot(4, weights, {}, optimizer, {"last_epoch": 4}, {}, 8, 1.5, log, [{"step": 0, "score": 0.1}])
    work.save(snapshot)
    work.save(Snapshot(5, weights, weights, optimizer, {"last_epoch": 5}, {}, 8, 2.5, log))
    found = work.latest()
    assert found.step == 5
    assert torch.equal(found.best["w.bias"], weights["w.bias"])
    assert torch.equal(found.optimizer["state"][0]["exp_avg"], torch.ones(3))
    assert found.optimizer["param_groups"] == optimizer["param_groups"]
    assert found.log == log
    assert [folder.name for folder in work.folder.iterdir()] == ["step-000000005"]
    (work.folder / "step-000000009").mkdir()
    assert work.latest().step == 5, "a folder without a manifest isn't whole"
    assert {path.suffix for path in (work.folder / "step-000000005").iterdir()} == {".json", ".safetensors"}
    work.remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_killed_process_goes_on(tiny_model, tmp_path):
    """SIGKILL, which nothing can catch, in the middle of a real training by the command line."""

    def words(out):
        flags = "--precision float32 --device cpu --epochs 30 --batch-size 4 --dropout --validations 6"
        flags += " --checkpoint-minutes 0 --val-split train --learning-rate 0.003"
        given = ["--no-gate", str(SAMPLE), "--encoder", str(tiny_model), "--out", str(tmp_path / out)]
        return [sys.executable, "-m", "embedtune", "train", *given, *flags.split()]

    environment = os.environ | {"EMBEDTUNE_CACHE_DIR": str(tmp_path / "cache")}
    subprocess.run(words("whole"), check=True, env=environment, capture_output=True)
    process = subprocess.Popen(words("cut"), env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".cut.*.training/step-0000000[2-9]*")):
        assert process.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stderr.close()
    assert not (tmp_path / "cut").exists()
    resumed = subprocess.run(words("cut"), check=True, env=environment, capture_output=True, text=True)
    assert "goes on from step" in resumed.stderr
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]
    assert not list(tmp_path.glob(".cut.*"))
