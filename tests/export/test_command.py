"""embedtune export as a user meets it: the figures, the refusals, the mistakes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from tests.conftest import SAMPLE

QUICK = ["--split", "all", "--rounds", "1", "--speed-documents", "2", "--speed-queries", "2"]


def words_of(model, out, *more):
    return ["export", model, "--data", SAMPLE, "--out", out, *QUICK, *more]


@pytest.fixture
def graph_folder(exported):
    return exported("onnx").folder


def test_exported_folder_retrieves_as_the_model_does(embedtune, tuned, graph_folder):
    done = embedtune(*words_of(tuned, "half", "--format", "fp16", "--json"))
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["fidelity"]["cosines"]["lowest"] > 0.999
    assert figures["speed"]["ratio"] > 0
    assert figures["faults"] == []
    scores = [
        embedtune("eval", SAMPLE, "--encoder", name, "--split", "test").stdout for name in (tuned, "half", graph_folder)
    ]
    assert scores[0] == scores[1] == scores[2]


def test_check_and_mine_take_a_graph(embedtune, graph_folder):
    checked = json.loads(embedtune("check", SAMPLE, "--encoder", graph_folder, "--json").stdout)
    assert checked["levels"]["error"] == 0
    done = embedtune("mine", SAMPLE, "--encoder", graph_folder, "--out", "mined.json")
    assert done.returncode == 0, done.stderr


def test_training_on_a_graph_is_refused(embedtune, graph_folder):
    for method in ("full", "adapter"):
        done = embedtune("train", SAMPLE, "--encoder", graph_folder, "--method", method, "--out", "tuned")
        assert done.returncode == 2
        assert "holds an exported graph, which has no weights" in done.stderr
    assert embedtune(*words_of(graph_folder, "again", "--format", "fp16")).returncode == 2


def test_damaged_or_wrongly_used_folders_are_explained(embedtune, graph_folder, tmp_path):
    for flags, words in (
        (["--precision", "bfloat16"], "can be computed in float32"),
        (["--max-length", "4000"], "takes at most 128 tokens"),
        (["--forward", "packed"], "its own forward pass"),
        (["--processes", "2"], "in one process"),
    ):
        done = embedtune("eval", SAMPLE, "--encoder", graph_folder, *flags)
        assert done.returncode == 2
        assert words in done.stderr
    damaged = tmp_path / "damaged"
    subprocess.run(["cp", "-r", str(graph_folder), str(damaged)], check=True)
    graph = damaged / "onnx" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:2000])
    done = embedtune("eval", SAMPLE, "--encoder", damaged)
    assert (done.returncode, "can't load the graph" in done.stderr) == (2, True)
    graph.unlink()
    done = embedtune("eval", SAMPLE, "--encoder", damaged)
    assert (done.returncode, "onnx/model.onnx is missing" in done.stderr) == (2, True)


def test_what_is_not_good_enough_is_refused_unless_forced(embedtune, tiny_model, tmp_path):
    words = words_of(tiny_model, "out", "--format", "bf16", "--least-cosine", "1")
    refused = embedtune(*words)
    assert refused.returncode == 3
    assert "isn't good enough, so nothing was written: the lowest cosine is" in refused.stderr
    assert "cosine: lowest" in refused.stdout
    assert not list(tmp_path.glob("*out*"))
    assert embedtune(*words, "--force").returncode == 0
    assert "Written although it doesn't keep its limits" in (tmp_path / "out" / "README.md").read_text()
    again = embedtune(*words, "--force")
    assert (again.returncode, "exists already" in again.stderr) == (2, True)


@pytest.mark.slow
def test_int8_keeps_more_in_float_until_nothing_is_left_to_try(embedtune, tiny_model):
    done = embedtune(*words_of(tiny_model, "out", "--format", "onnx-int8", "--least-cosine", "1"))
    assert done.returncode == 3
    steps = ["every layer", "the feed-forward layers' outputs in float", "these and queries, keys and values in float"]
    places = [done.stderr.index(f"a scale for each text, {words}") for words in steps]
    assert places == sorted(places)


def test_mistakes_are_explained_and_leave_nothing(embedtune, tiny_model, tmp_path, monkeypatch):
    static = embedtune(*words_of(tiny_model, "static", "--format", "static"))
    assert static.returncode == 0, static.stderr
    blocked = tmp_path / "file"
    blocked.write_text("")
    for model, out, flags, found in (
        ("static", "out", ["--format", "onnx"], "is made of StaticEmbedding, Normalize"),
        (tiny_model, "out", ["--format", "onx"], "did you mean 'onnx'"),
        (tiny_model, blocked / "out", ["--format", "fp16"], "can't write"),
        (tiny_model, "out", ["--format", "fp16", "--measure", "ndcg_at_11"], "unknown measure 'ndcg_at_11'"),
        (tiny_model, "out", ["--format", "fp16", "--split", "nosplit"], "nosplit"),
        ("nomodel", "out", ["--format", "fp16"], "nomodel"),
    ):
        done = embedtune(*words_of(model, out, *flags))
        assert (done.returncode, found in done.stderr) == (2, True), done.stderr
        assert not list(tmp_path.glob("*out*"))
    monkeypatch.setitem(sys.modules, "onnx", None)
    for name in [name for name in sys.modules if name.startswith("embedtune.export.")]:
        monkeypatch.delitem(sys.modules, name)
    done = embedtune(*words_of(tiny_model, "out", "--format", "onnx"))
    assert done.returncode == 2
    assert "needs the package 'onnx'" in done.stderr
    assert "pip install 'embedtune[onnx]'" in done.stderr


@pytest.mark.slow
def test_an_opset_that_fails_is_named(embedtune, tiny_model, tmp_path):
    done = embedtune(*words_of(tiny_model, "out", "--opset", "13"))
    assert (done.returncode, "opset 13" in done.stderr) == (2, True), done.stderr
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.slow
def test_a_killed_export_leaves_no_folder_and_a_rerun_writes_it(tmp_path, tiny_model):
    flags = ["--format", "onnx-int8", "--force"]
    words = [sys.executable, "-m", "embedtune", *map(str, words_of(tiny_model, "out", *flags))]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while "int8 with" not in (line := process.stderr.readline()):
        assert line, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.stderr.close()
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert subprocess.run(words, cwd=tmp_path, check=False).returncode == 0
    assert (tmp_path / "out" / "embedtune.json").is_file()
