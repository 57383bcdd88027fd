"""Every mistake: what, where, what to do; exit status 2; no traceback; nothing lost."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import pytest
from tests.conftest import SAMPLE


def refusal(done):
    """Returns the message of a command that refused its input as it should."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


@pytest.fixture
def refused(embedtune):
    return lambda *words: refusal(embedtune(*words))


@pytest.fixture
def refused_process(embedtune_process):
    return lambda *words, **environment: refusal(embedtune_process(*words, **environment))


def test_a_mistake_in_a_process_of_its_own(refused_process):
    assert "there is no file nowhere.json" in refused_process("eval", "nowhere.json", "--retriever", "bm25")


@pytest.fixture
def dataset(tmp_path, sample_fields):
    def write(**changes):
        path = tmp_path / "d.json"
        path.write_text(json.dumps(sample_fields | changes, ensure_ascii=False), encoding="utf-8")
        return path

    return write


def test_missing_file(refused):
    message = refused("eval", "nowhere.json", "--retriever", "bm25")
    assert "there is no file nowhere.json" in message
    assert "to do:" in message


def test_broken_json(refused, tmp_path):
    (tmp_path / "d.json").write_text('{"queries": {},\n  "corpus" {}}')
    assert "line 2, column 12" in refused("eval", "d.json", "--retriever", "bm25")


def test_faults_in_the_data(refused, dataset):
    path = dataset(relevant_docs={"q01": ["nope"]}, corpus={"d": 7})
    message = refused("eval", path, "--retriever", "bm25")
    assert "relevant_docs['q01']: the document id 'nope' isn't in corpus" in message
    assert "corpus['d']: expected a text, found a number" in message


def test_corpus_without_text(refused, dataset):
    assert "corpus: it has no documents" in refused("eval", dataset(corpus={}), "--retriever", "bm25")


def test_splits(refused, dataset):
    path = dataset(queries_split={"train": ["q01"], "val": []})
    assert "the split 'val' has no queries" in refused("eval", path, "--retriever", "bm25")
    assert "did you mean 'train'?" in refused("eval", path, "--retriever", "bm25", "--split", "trian")


def test_flag_values(refused, tiny_model):
    assert "did you mean 'bm25'?" in refused("eval", SAMPLE, "--retriever", "bm5")
    assert "did you mean 'float32'?" in refused("eval", SAMPLE, "--encoder", tiny_model, "--precision", "float23")
    assert "--encoder" in refused("eval", SAMPLE)
    assert "greater than or equal to 1" in refused("eval", SAMPLE, "--retriever", "bm25", "--top-k", "0")


def test_unknown_flags_and_verbs_name_the_nearest(refused):
    assert "--encoder" in refused("eval", SAMPLE, "--encodr", "x")
    assert "eval" in refused("evl", SAMPLE)


def test_encoders_that_are_not_there(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no model" in refused("eval", SAMPLE, "--encoder", "empty")
    message = refused("eval", SAMPLE, "--encoder", "BAAI/bge-small-zh-v1.5")
    assert "isn't in the local Hub cache" in message
    assert "HF_ENDPOINT" in message
    assert "copy the model's folder" in message


def test_hub_that_cannot_be_reached(refused_process, tmp_path):
    where = {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    message = refused_process("eval", SAMPLE, "--encoder", "BAAI/bge-small-zh-v1.5", **where)
    assert "http://127.0.0.1:9 can't be reached" in message


def test_results_are_never_overwritten_unasked(refused, embedtune, tmp_path):
    words = ("eval", SAMPLE, "--retriever", "bm25", "--out", "out")
    assert embedtune(*words).returncode == 0
    before = (tmp_path / "out" / "scores.json").read_bytes()
    assert "exists already" in refused(*words, "--split", "test")
    assert (tmp_path / "out" / "scores.json").read_bytes() == before
    assert embedtune(*words, "--split", "test", "--overwrite").returncode == 0
    assert (tmp_path / "out" / "scores.json").read_bytes() != before


def test_compare_wants_evaluations(refused, tmp_path):
    (tmp_path / "a").mkdir()
    assert "has no readable embedtune.json" in refused("compare", "a", "b")


def test_a_full_disk_while_caching(tmp_path, tiny_model, embedtune):
    """The kernel refuses every file over 2 kB, as a full disk would; earlier vectors stay usable."""
    words = [sys.executable, "-m", "embedtune", "eval", SAMPLE, "--encoder", tiny_model, "--cache-dir", "c"]
    assert embedtune(*words[3:], "--split", "val").returncode == 0
    kept = {path: path.read_bytes() for path in (tmp_path / "c").rglob("*.safetensors")}
    done = subprocess.run(
        [str(word) for word in [*words, "--query-instruction", "other: ", "--document-instruction", "new: "]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )
    assert done.returncode == 2, done.stderr
    assert "no space left to write" in done.stderr
    assert "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "c").rglob("*.safetensors")} == kept
    assert not list((tmp_path / "c").rglob("*.tmp"))
    again = embedtune(*words[3:], "--split", "val")
    assert "encoded 0 texts" in again.stderr


def test_import_mistakes(refused, tmp_path):
    assert "did you mean 'docstrings'?" in refused("import", "docstring", "--out", "d.json")
    (tmp_path / "d.json").write_text("mine")
    assert "exists already" in refused("import", "docstrings", "--out", "d.json")
    assert (tmp_path / "d.json").read_text() == "mine"
