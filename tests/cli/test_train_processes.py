"""embedtune train in several processes: who speaks, who is refused, who goes on after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
from tests.conftest import SAMPLE

from embedtune import processes
from embedtune.errors import OptionsError, ProcessError
from embedtune.train.launching import _status_of

FLAGS = "--precision float32 --device cpu --epochs 30 --batch-size 4 --negatives 2 --validations 6"
FLAGS += " --checkpoint-minutes 0 --val-split train --learning-rate 0.003"


def as_process(monkeypatch, rank: int) -> None:
    for name, value in {"LOCAL_RANK": rank, "RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))


def test_only_train_works_in_several_processes(embedtune, monkeypatch):
    as_process(monkeypatch, 0)
    done = embedtune("eval", SAMPLE, "--retriever", "bm25")
    assert done.returncode == 2
    assert "2 processes were started together, and only embedtune train works in several" in done.stderr
    assert not done.stdout


def test_a_mistake_that_all_find_is_said_by_one(embedtune, monkeypatch, tmp_path):
    waited = []
    monkeypatch.setattr(processes.time, "sleep", waited.append)
    for rank in range(2):
        as_process(monkeypatch, rank)
        done = embedtune("train", tmp_path / "none.json", "--encoder", "minilm", "--out", tmp_path / "out")
        assert done.returncode == 2
        assert "none.json" in done.stderr
        assert bool(waited) == bool(rank), "the second one gives the first time to say it"
    as_process(monkeypatch, 0)
    processes.let_others_speak_first(ProcessError("lost"))
    assert len(waited) == 2, "and all give it to who started them where one is lost"


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert (processes.rank(), processes.count(), processes.is_writer()) == (0, 1, True)
    processes.let_others_speak_first(OptionsError("no"))


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        ({0: -15, 1: -9}, "process 1 of 2 was killed by SIGKILL; the system does so where memory runs out"),
        ({0: 2, 1: -11}, "process 1 of 2 was killed by SIGSEGV"),
        ({0: -15, 1: 1}, "process 1 of 2 ended with status 1"),
        ({0: -15}, "process 0 of 2 was killed by SIGTERM"),
    ],
)
def test_a_process_that_dies_is_named(statuses, words):
    failures = {rank: SimpleNamespace(exitcode=status) for rank, status in statuses.items()}
    with pytest.raises(ProcessError) as raised:
        _status_of(failures, 2)
    assert str(raised.value).startswith(words)
    assert "the same command goes on from the last checkpoint" in str(raised.value)


@pytest.mark.parametrize("status", [2, 130])
def test_a_process_that_said_why_is_believed(status):
    assert _status_of({0: SimpleNamespace(exitcode=status), 1: SimpleNamespace(exitcode=-15)}, 2) == status


def words(model, out, *more: str) -> list[str]:
    return [sys.executable, "-m", "embedtune", "train", str(SAMPLE), "--encoder", str(model), "--out", str(out),
            *FLAGS.split(), *more]  # fmt: skip


@pytest.mark.slow
def test_two_processes_by_the_command_line(tiny_model, tmp_path):
    """One result on stdout, each line of words once, and the losses of one process; the gate by one."""
    done = {
        count: subprocess.run(
            words(tiny_model, tmp_path / f"by {count}", "--json", "--num-processes", str(count)),
            check=True,
            capture_output=True,
            text=True,
        )
        for count in (1, 2)
    }
    records = [json.loads(done[count].stdout) for count in (1, 2)]
    assert [record["sizes"]["processes"] for record in records] == [1, 2]
    assert records[0]["came_out"] == records[1]["came_out"]
    for said in ("step 0: val ndcg_at_10", "texts in memory at a time", "wrote "):
        assert done[2].stderr.count(said) == 1, done[2].stderr
    losses = [[c["loss"] for c in record["checkpoints"][1:]] for record in records]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


@pytest.mark.slow
def test_torchrun_starts_it_too(tiny_model, tmp_path):
    own = words(tiny_model, tmp_path / "out", "--no-gate", "--json")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*torchrun, *own[1:]], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["sizes"]["processes"] == 2


@pytest.mark.slow
def test_a_killed_process_is_named_and_the_rest_goes_on(tiny_model, tmp_path):
    whole, cut = (words(tiny_model, tmp_path / out, "--no-gate", "--num-processes", "2") for out in ("whole", "cut"))
    subprocess.run(whole, check=True, capture_output=True)
    started = subprocess.Popen(cut, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while not list(tmp_path.glob(".cut.*.training/step-0000000[2-9]*")):
        assert started.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    second = [p for p in psutil.Process(started.pid).children(recursive=True) if p.environ().get("RANK") == "1"]
    os.kill(second[0].pid, signal.SIGKILL)
    said = started.communicate(timeout=120)[1]
    assert started.returncode == 2
    assert said.count("embedtune: ") == 1, said
    assert "embedtune: process 1 of 2 was killed by SIGKILL" in said
    assert "Traceback" not in said
    assert not (tmp_path / "cut").exists()
    resumed = subprocess.run(cut, check=True, capture_output=True, text=True)
    assert "goes on from step" in resumed.stderr
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]
    assert not list(tmp_path.glob(".cut.*"))
