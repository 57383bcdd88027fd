"""A run that is killed again and again ends as one that wasn't."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conftest import SAMPLE

RECIPE = """
data: {data}
encoder: {encoder}
encoder_options: {{precision: float32}}
steps:
  split: {{data: data, val: 0.25, test: 0.25}}
  check: {{data: split}}
  bm25: {{do: eval, data: split, retriever: bm25, split: test}}
  base: {{do: eval, data: split, split: test}}
  mine: {{data: split, negatives: 2}}
  train: {{data: mine, epochs: 3, batch_size: 4, learning_rate: 0.001, resamples: 200, checkpoint_minutes: 0}}
  tuned: {{do: eval, data: split, encoder: train, split: test}}
  compare: {{a: base, b: tuned, resamples: 200}}
  adapter: {{do: train, data: mine, method: adapter, epochs: 3, gate: false}}
  adapted: {{do: eval, data: split, encoder: adapter, retriever: hybrid, split: test}}
"""
STEPS = 10
KILLS = 20
SAYS_WHEN = {"embedtune.json", "training.jsonl", ".lock"}


SERVER = """
import os, sys
from embedtune.cli.main import app
from embedtune.pipeline import recipe, running
from embedtune.pipeline.kinds import kind_names, load_kind
for name in kind_names():
    load_kind(name)
while folder := sys.stdin.readline():
    child = os.fork()
    if not child:
        os.chdir(folder.strip())
        os.dup2(os.open("said.txt", os.O_CREAT | os.O_WRONLY | os.O_APPEND), 1)
        os.dup2(1, 2)
        app(["run", "recipe.yaml", "--out", "run", "--cache-dir", "cache"])
    print(child, flush=True)
    sys.stdin.readline()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Starts a process for each line, everything imported: 20 kills would else be 20 times the imports."""


class Runs:
    """Runs the recipe in a folder, in a process of its own each time, which may be killed."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        self.server = server

    def __call__(self, folder: Path, kill_after_s: float | None = None) -> int:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(f"{folder}\n")
        self.server.stdin.flush()
        process = int(self.server.stdout.readline())
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            os.kill(process, signal.SIGKILL)
        self.server.stdin.write("wait\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())


@pytest.fixture
def run():
    words = [sys.executable, "-W", "ignore", "-c", SERVER]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield Runs(server)
        assert server.stdin is not None
        server.stdin.close()


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in (folder / "run").rglob("*") if path.is_file() and path.name not in SAYS_WHEN)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.slow
def test_twenty_random_kills_change_nothing(run, tmp_path, tiny_model):
    for name in ("quiet", "killed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.yaml").write_text(RECIPE.format(data=SAMPLE, encoder=tiny_model), encoding="utf-8")
    started = time.monotonic()
    assert run(tmp_path / "quiet") == 0, (tmp_path / "quiet" / "said.txt").read_text(encoding="utf-8")
    longest = time.monotonic() - started

    chance = random.Random(7)
    manifests: dict[Path, tuple[int, int]] = {}
    finished, killed = [], 0
    while killed < KILLS:
        killed += run(tmp_path / "killed", chance.uniform(0, longest / 4)) == -signal.SIGKILL
        now = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in manifests_in(tmp_path / "killed")}
        assert manifests.items() <= now.items(), "something finished was done again"
        manifests = now
        finished.append(len(now))
        if len(now) == STEPS and killed < KILLS:  # begin anew, so that every kill finds work
            assert contents(tmp_path / "killed") == contents(tmp_path / "quiet")
            shutil.rmtree(tmp_path / "killed" / "run")
            manifests = {}
    assert run(tmp_path / "killed") == 0
    assert len(set(finished)) >= 3, f"the kills came at the same place: {finished}"
    assert contents(tmp_path / "killed") == contents(tmp_path / "quiet")


def manifests_in(folder: Path) -> list[Path]:
    return sorted((folder / "run").glob("*/embedtune.json"))
