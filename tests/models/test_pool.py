"""Real processes: order kept, dead workers survived and named, weights shared."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from embedtune.errors import EncoderError
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.pool import EncoderPool

TEXTS = [f"text {number} " + "word " * (number % 7) for number in range(400)] + ["", "你好，世界"]


def private_mebibytes(pid):
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


@pytest.fixture
def pool(tiny_model):
    with load_encoder(tiny_model, EncoderOptions(precision="float32", device="cpu", processes=2)) as started:
        yield started


def test_equals_one_process_and_survives_mistakes_and_a_kill(pool, tiny_encoder, monkeypatch):
    from embedtune import progress

    alone = tiny_encoder.encode(TEXTS, "document")
    np.testing.assert_allclose(pool.encode(TEXTS, "document"), alone, atol=2e-6)
    assert pool.cache_key == tiny_encoder.cache_key
    assert pool.encode([], "query").shape == (0, 32)

    with pytest.raises(EncoderError, match="expected texts, found int"):
        pool.encode([*TEXTS, 3], "document")
    np.testing.assert_allclose(pool.encode(TEXTS, "document"), alone, atol=2e-6)

    said = []
    monkeypatch.setattr(progress, "say", said.append)
    os.kill(pool._workers[0].process.pid, signal.SIGKILL)
    np.testing.assert_allclose(pool.encode(TEXTS, "document"), alone, atol=2e-6)
    assert "exit status -9" in said[0]

    os.kill(pool._workers[0].process.pid, signal.SIGKILL)
    with pytest.raises(EncoderError, match="it was the last one"):
        pool.encode(TEXTS, "document")


@pytest.mark.slow
def test_workers_share_the_weights(tiny_model):
    """A worker of all-MiniLM-L6-v2 has little more memory of its own than a tiny model's: not 86 MiB of weights."""

    def own_mebibytes(name):
        with load_encoder(name, EncoderOptions(precision="float32", device="cpu", processes=2)) as started:
            started.encode(["warm"], "document")
            return private_mebibytes(started._workers[0].process.pid)

    assert own_mebibytes("minilm") - own_mebibytes(tiny_model) < 43


def test_load_encoder_starts_a_pool(tiny_model):
    encoder = load_encoder(tiny_model, EncoderOptions(precision="float32", device="cpu,cpu"))
    assert isinstance(encoder, EncoderPool)
    assert "2 processes" in str(encoder)
    encoder.close()
