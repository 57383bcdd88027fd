"""A run that is killed again and again ends as one that wasn't."""

from __future__ import annotations

import os
import random
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
KILLS = 20
SAYS_WHEN = {"embedtune.json", "training.jsonl", ".lock"}


def start(folder: Path) -> subprocess.Popen[str]:
    """Starts a run and returns when it begins its first step."""
    words = [sys.executable, "-m", "embedtune", "run", "recipe.yaml", "--out", "run", "--cache-dir", "cache"]
    process = subprocess.Popen(words, cwd=folder, env=dict(os.environ), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("["):
            return process
    raise AssertionError(f"ended with {process.wait()}")


def end(process: subprocess.Popen[str]) -> list[str]:
    said = process.communicate(timeout=600)[1].splitlines()
    assert process.returncode == 0, "\n".join(said)
    return said


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in (folder / "run").rglob("*") if path.is_file() and path.name not in SAYS_WHEN)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.slow
def test_twenty_random_kills_change_nothing(tmp_path, tiny_model):
    for name in ("quiet", "killed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.yaml").write_text(RECIPE.format(data=SAMPLE, encoder=tiny_model), encoding="utf-8")
    started = time.monotonic()
    end(start(tmp_path / "quiet"))
    longest = time.monotonic() - started
    started = time.monotonic()
    end(start(tmp_path / "quiet"))
    longest -= time.monotonic() - started  # what starting takes

    chance, finished = random.Random(7), []
    manifests: dict[Path, tuple[int, int]] = {}
    for kill in range(KILLS):
        process = start(tmp_path / "killed")
        time.sleep(chance.uniform(0, longest / 3 if kill < KILLS - 3 else longest))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        now = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in manifests_in(tmp_path / "killed")}
        assert manifests.items() <= now.items(), "something finished was done again"
        manifests = now
        finished.append(len(now))
    end(start(tmp_path / "killed"))
    assert len(set(finished)) > 3, f"the kills came at the same place: {finished}"
    assert contents(tmp_path / "killed") == contents(tmp_path / "quiet")


def manifests_in(folder: Path) -> list[Path]:
    return sorted((folder / "run").glob("*/embedtune.json"))
