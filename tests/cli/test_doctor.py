from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from huggingface_hub import constants
from tests.loopback import serving

import embedtune as package


class Answering(BaseHTTPRequestHandler):
    """A Hub that is there, and no more."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def endpoint():
    with serving(Answering) as url:
        yield url.removeprefix("http://")


def test_words_for_people_fit_the_screen(embedtune, monkeypatch):
    monkeypatch.setenv("EMBEDTUNE_CACHE_DIR", "cache")
    done = embedtune("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    for row in ("processor", "memory", "computes", "kernels", "software", "vectors", "the Hub", "LLM server", "extras"):
        assert f"\n{row}" in done.stdout, row
    assert "not asked, HF_HUB_OFFLINE is set" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_json_for_machines(embedtune, tmp_path, monkeypatch):
    monkeypatch.setenv("EMBEDTUNE_CACHE_DIR", str(tmp_path / "not" / "yet"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-do-not-tell")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://me:do-not-tell@localhost:8000/v1?key=do-not-tell")
    done = embedtune("doctor", "--json")
    assert done.returncode == 0, done.stderr
    assert "do-not-tell" not in done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["healthy"] is True
    assert found["language_model"] == {"address": "http://localhost:8000/v1", "OPENAI_API_KEY": True}
    assert found["vectors"]["folder"] == str(tmp_path / "not" / "yet")
    assert found["vectors"]["writable"] is True
    assert found["vectors"]["free_bytes"] > 0
    assert not (tmp_path / "not").exists()  # looking leaves nothing
    assert found["packages"]["torch"]["fits"] is True
    assert found["extras"]["offline"]["command"] == "pip install 'embedtune[offline]'"
    assert (found["minilm"] == "ready") is found["extras"]["offline"]["installed"]


def test_a_cache_that_cannot_be_written_ends_with_1(embedtune, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("EMBEDTUNE_CACHE_DIR", str(tmp_path / "file" / "vectors"))
    done = embedtune("doctor")
    assert done.returncode == 1
    assert "NOT WRITABLE" in done.stdout.replace("\n            ", " ")
    assert "error: the cache of vectors" in done.stdout


def test_the_hub_of_the_environment_is_asked(embedtune, endpoint, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://me:do-not-tell@{endpoint}")
    done = embedtune("doctor", "--json")
    assert "do-not-tell" not in done.stdout
    hub = json.loads(done.stdout)["hub"]
    assert (hub["reachable"], hub["address"]) == (True, f"http://{endpoint}")

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    done = embedtune("doctor")
    assert done.returncode == 0  # everything can be a folder
    assert "http://127.0.0.1:9 can't be reached" in done.stdout
    assert "HF_ENDPOINT names a mirror" in done.stdout


def test_a_broken_pytorch_is_said_not_thrown(embedtune_process, tmp_path):
    broken = tmp_path / "broken" / "torch"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('libtorch_cpu.so: not there')\n", encoding="utf-8")
    source = Path(package.__file__).parents[1]
    path = os.pathsep.join([str(broken.parent), str(source)])
    done = embedtune_process("doctor", PYTHONPATH=path)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "error: PyTorch doesn't work: libtorch_cpu.so: not there" in done.stdout
    assert "processor" not in done.stdout
