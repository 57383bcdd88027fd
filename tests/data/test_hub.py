"""The converters' real Hub access, against a small Hub on loopback in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

import pytest
from tests.data.converters.layouts import LAYOUTS, save_lines
from tests.data.hub_server import Hub

from embedtune.data.converters import convert

PROGRAM = """
import json, sys
from embedtune import progress
from embedtune.data.converters import convert
from embedtune.errors import EmbedtuneError
results = []
with progress.shown():
    for name, source, options in json.loads(sys.argv[1]):
        try:
            results.append(convert(name, source, **options).to_fields())
        except EmbedtuneError as error:
            results.append(str(error))
print(json.dumps(results))
"""


@pytest.fixture
def hub(tmp_path):
    for name in ("infgrad", "mteb", "sentence-transformers", "airbench"):
        LAYOUTS[name](tmp_path / name)
    datasets = {
        "infgrad/retrieval_data_llm": tmp_path / "infgrad",
        "mteb/household": tmp_path / "mteb",
        "sentence-transformers/household": tmp_path / "sentence-transformers",
        "AIR-Bench/qa_household_zh": tmp_path / "airbench" / "qa_household_zh",
        "AIR-Bench/qrels-qa_household_zh-dev": tmp_path / "airbench" / "qrels-qa_household_zh-dev",
    }
    return Hub(datasets)


@pytest.fixture
def ask(tmp_path):
    def converted(url, *jobs, **environment):
        settings = {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hf"), **environment}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(jobs)],
            env={**os.environ, **settings, "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), done.stderr

    return converted


def test_datasets_come_from_the_mirror_with_their_revision_and_again_without_it(hub, ask, tmp_path):
    jobs = [
        ("infgrad", None, {"val_fraction": 0.25}),
        ("airbench", "qa_household_zh", {}),
        ("mteb", "mteb/household", {"revision": "v1"}),
        ("sentence-transformers", "sentence-transformers/household", {}),
    ]
    with hub.running():
        fetched, words = ask(hub.url, *jobs)
    local = [
        convert("infgrad", tmp_path / "infgrad", val_fraction=0.25),
        convert("airbench", tmp_path / "airbench" / "qa_household_zh"),
        convert("mteb", tmp_path / "mteb"),
        convert("sentence-transformers", tmp_path / "sentence-transformers"),
    ]
    sources = [fields.pop("source") for fields in fetched]
    assert fetched == [json.loads(json.dumps(dataset.to_fields())) for dataset in local]
    commit = hub.commit("infgrad/retrieval_data_llm")
    assert sources[0] == {"hub": "infgrad/retrieval_data_llm", "revision": commit}
    assert [source["hub"] for source in sources[1]] == [name for name in hub.datasets if name.startswith("AIR")]
    assert f"infgrad/retrieval_data_llm: revision {commit}" in words
    assert f"from {hub.url}" in words
    again, _ = ask(hub.url, *jobs)  # the server is gone: all of it is in the cache
    assert [fields.pop("source") for fields in again] == sources
    assert again == fetched


def test_a_hub_that_is_down_is_told_quickly_with_both_ways_out(ask):
    started = time.monotonic()
    results, _ = ask("http://127.0.0.1:9", ("infgrad", None, {}), ("mteb", "mteb/scifact", {}))
    assert time.monotonic() - started < 10
    for message in results:
        assert "http://127.0.0.1:9 can't be reached" in message
        assert "HF_ENDPOINT names a mirror" in message
        assert "give their folder in place of its name" in message
    (message,), _ = ask("http://127.0.0.1:9", ("infgrad", None, {}), HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE is set" in message


def test_unknown_datasets_and_revisions_are_told(hub, ask):
    with hub.running():
        results, _ = ask(
            hub.url,
            ("mteb", "mteb/nothing", {}),
            ("mteb", "mteb/household", {"revision": "v7"}),
            ("mteb", "what/is/this", {}),
            ("airbench", "qa_nothing_zh", {}),
        )
    assert "the dataset 'mteb/nothing' isn't there, or is private" in results[0]
    assert "has no revision 'v7'" in results[1]
    assert "can't be a dataset's name on the Hub" in results[2]
    assert "the dataset 'AIR-Bench/qa_nothing_zh' isn't there" in results[3]


def lengthen(folder, rows=900, repeats=50):
    rows = [
        {"Query": f"问{i}", "Positive Document": f"文{i}" * repeats, "Hard Negative Document": "别"}
        for i in range(rows)
    ]
    return save_lines(folder / "long.jsonl", rows)


def test_a_lost_connection_is_taken_up_again_where_it_broke(hub, ask, tmp_path):
    lengthen(tmp_path / "infgrad", rows=10, repeats=400_000)
    hub.cut_after = 12_000_000
    with hub.running():
        (fields,), words = ask(hub.url, ("infgrad", None, {}))
    assert len(fields["queries"]) == 14
    assert re.search(r"fetch infgrad/retrieval_data_llm \(MB\): (\d+)/\1 in", words)
    assert [r for r in hub.requests if "long.jsonl" in r][-1].endswith("long.jsonl bytes=10485760-")


def test_half_a_download_is_told_and_the_next_run_fetches_what_is_missing(hub, ask, tmp_path):
    lengthen(tmp_path / "infgrad")
    hub.cut_after = 100_000
    settings = {"HF_ENDPOINT": "", "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "hf")}
    with hub.running():
        broken_off = subprocess.Popen(
            [sys.executable, "-m", "embedtune", "import", "infgrad", "--out", str(tmp_path / "d.json")],
            env={**os.environ, **settings, "HF_ENDPOINT": hub.url},
            stderr=subprocess.PIPE,
            text=True,
        )
        while not all(any(f"GET /datasets/{n}" in r for r in hub.requests) for n in fetched_names()):
            assert broken_off.poll() is None
            time.sleep(0.02)
        time.sleep(0.3)
    words = broken_off.communicate(timeout=60)[1]
    assert broken_off.returncode == 2
    assert "the download of 'infgrad/retrieval_data_llm' broke off" in words
    assert "run the same command again, which fetches only what is missing" in words
    assert "Traceback" not in words
    assert not (tmp_path / "d.json").exists()
    (message,), _ = ask(hub.url, ("infgrad", None, {}))
    assert "isn't wholly in the local Hub cache" in message
    hub.cut_after, hub.requests = None, []
    with hub.running(int(hub.url.rpartition(":")[2])):
        (fields,), _ = ask(hub.url, ("infgrad", None, {}))
    assert len(fields["queries"]) == 904
    assert [r.rpartition("/")[2] for r in hub.requests if r.startswith("GET /datasets")] == ["long.jsonl"]


def fetched_names():
    commit = Hub({}).commit("infgrad/retrieval_data_llm")
    return [f"infgrad/retrieval_data_llm/resolve/{commit}/{name}" for name in ("data.jsonl", "long.jsonl")]
