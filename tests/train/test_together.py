"""Two processes train as one does: each loss, its gradients, the weights in the end, and what goes wrong."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.conftest import build_tiny_model
from tests.train.pair_of_processes import STEPS, make_step, make_training_set, run_step, run_training

from embedtune.train.targets import documents_of, label_batch
from embedtune.train.together import Share

ROOT = Path(__file__).parents[2]
SAME = {"rtol": 1e-4, "atol": 1e-5}
WITHOUT_EFFECT = "attention.self.key.bias"
"""Its gradient is zero but for rounding, which AdamW makes steps of."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def numbers(line: dict[str, float | None]) -> dict[str, float]:
    """Returns what a line of training.jsonl says, but for the time; before the first step there is no mean loss."""
    return {name: value for name, value in line.items() if name != "seconds" and value is not None}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Returns the model, the folder in which two processes worked, and what each of them found."""
    model, out = build_tiny_model(tmp_path_factory.mktemp("tiny")), tmp_path_factory.mktemp("pair")
    given = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.train.pair_of_processes", str(model), str(out)],
            env=os.environ | given | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=1200)[1] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
            process.stderr.close()
    assert [process.returncode for process in started] == [0, 0], said
    return model, out, [json.loads((out / f"{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]


def test_two_processes_have_one_s_loss_and_gradients(pair):
    model, out, found = pair
    for name, given in STEPS.items():
        loss, gradients = run_step(make_step(model, **given))
        assert found[0][name] == found[1][name] == pytest.approx(loss, rel=1e-5), name
        together = load_file(out / f"{name}.safetensors")
        assert together.keys() == gradients.keys()
        for parameter, gradient in gradients.items():
            torch.testing.assert_close(together[parameter], gradient, **SAME, msg=f"{name}: {parameter}")
    for name in ("without a graph", "with a graph"):
        loss, micro_batch_size = found[0][f"memory {name}"]
        assert loss == pytest.approx(found[0]["infonce"], rel=1e-5)
        assert micro_batch_size == 2


def test_two_processes_come_to_one_s_weights(pair, tmp_path):
    model, out, _ = pair
    run_training(model, tmp_path / "alone")
    folders = (tmp_path / "alone", out / "trained")
    logs = [
        [json.loads(line) for line in (folder / "training.jsonl").read_text("utf-8").splitlines()] for folder in folders
    ]
    for alone, together in zip(*logs, strict=True):
        assert numbers(together) == pytest.approx(numbers(alone), rel=1e-3)
    assert len(logs[0]) > 6
    weights = [load_file(folder / "model.safetensors") for folder in folders]
    base = load_file(model / "model.safetensors")
    for name, alone in weights[0].items():
        if WITHOUT_EFFECT not in name:
            torch.testing.assert_close(weights[1][name], alone, rtol=1e-3, atol=2e-5, msg=name)
    assert max(float((weights[0][name] - base[name]).abs().max()) for name in base) > 1e-3
    made = [json.loads((folder / "embedtune.json").read_text("utf-8"))["made_from"]["sizes"] for folder in folders]
    assert [sizes["processes"] for sizes in made] == [1, 2]
    assert sorted(path.name for path in out.iterdir() if path.name.startswith(".")) == []


def test_what_goes_wrong_on_one_ends_both_with_the_same_words(pair):
    _, _, found = pair
    for name, words in (
        ("no memory at all", "EmbedtuneError: memory ran out with a single text in it"),
        ("nan", "DivergedError: the loss is nan\n  where: the batch of the queries "),
        ("refused", "OptionsError: no\n  where: here\n  to do: try"),
    ):
        assert found[0][name].startswith(words)
        assert found[0][name] == found[1][name]
    assert found[0]["other data"] == "nothing"
    assert "process 1 of 2 has other data" in found[1]["other data"]
    assert found[0]["given"] == found[1]["given"] == {"from": 0}


def test_the_steps_have_something_to_leave_out():
    """Else the comparison would say nothing about known positives."""
    from embedtune.train.batches import plan_batches
    from embedtune.train.loss_data import examples_for

    made = examples_for("infonce", make_training_set())
    batch = [made.examples[position] for position in plan_batches(made, 7, epochs=1, seed=1)[0]]
    labels = label_batch(made, batch, documents_of(batch))
    assert (labels < 0).sum() >= 3
    assert any(d.endswith("-copy") for e in batch for d in made.conflicts[e.query_id] & set(documents_of(batch)))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_shares_are_even_and_find_their_way_back(count):
    texts = ["短", "a much longer text", "middling", "水垢怎么去除", "a"]
    shares = [Share.deal(texts, count, rank) for rank in range(count)]
    assert len({len(share.texts) for share in shares}) == 1
    gathered = [text for share in shares for text in share.texts]
    for share in shares:
        assert [gathered[row] for row in share.rows] == texts
