"""embedtune import: words in, a dataset out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.data.converters.layouts import LAYOUTS

from embedtune.data.converters import CONVERTERS
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.writers import WRITERS


def test_writes_the_dataset_and_says_its_size(embedtune, tmp_path):
    source, _ = LAYOUTS["airbench"](tmp_path)
    done = embedtune("import", "airbench", source, "--out", "d.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "corpus 5, train 0, val 4, test 0" in done.stderr
    assert RetrievalDataset.read(tmp_path / "d.json").queries_split["train"] == []
    again = embedtune("import", "airbench", source, "--out", "d.json")
    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert embedtune("import", "airbench", source, "--out", "d.json", "--overwrite").returncode == 0
    other = embedtune("import", "embedtune", "d.json", "--out", "beir", "--to", "beir")
    assert other.returncode == 0, other.stderr
    assert "not in this layout: 1 negatives" in other.stderr
    assert (tmp_path / "beir" / "qrels" / "dev.tsv").is_file()


def test_mistakes_are_told_without_a_traceback_and_leave_nothing(embedtune, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"query": "q", "document": "d"}\n{"query": "q"')
    for words, expected in (
        (("import", "pears", "bad.jsonl", "--out", "d.json"), "did you mean 'pairs'"),
        (("import", "pairs", "bad.jsonl", "--out", "d.json"), "bad.jsonl:2"),
        (("import", "pairs", "bad.jsonl", "--out", "folder"), "bad.jsonl:2"),
        (("import", "pairs", "bad.jsonl", "--out", "d", "--to", "bier"), "did you mean 'beir'"),
    ):
        done = embedtune(*words)
        assert done.returncode == 2
        assert expected in done.stderr
        assert "Traceback" not in done.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["bad.jsonl"]


def test_a_mistake_in_a_process_of_its_own(embedtune, tmp_path):
    (tmp_path / "bad.jsonl").write_bytes(b'{"query": "\xb3\xfd"}')
    done = embedtune("import", "pairs", "bad.jsonl", "--out", "d.json")
    assert done.returncode == 2
    assert "byte 0xb3 at offset 11" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bad.jsonl"]


def test_help_names_every_converter_and_its_flags(embedtune):
    listed = embedtune("import", "--help").stdout
    assert all(f"  {name} " in listed for name in LAYOUTS)
    assert "--val-fraction" in embedtune("import", "infgrad", "--help").stdout


@pytest.mark.parametrize("program", ["import embedtune.cli.main", "import embedtune.cli.import_"])
def test_converters_are_imported_only_when_used(program):
    show = (
        "import json, sys; print(json.dumps([m for m in sys.modules if 'converters.' in m or m == 'huggingface_hub']))"
    )
    done = subprocess.run([sys.executable, "-c", f"{program}; {show}"], capture_output=True, text=True, check=True)
    used_by_quickstart = ["embedtune.data.converters.docstrings"] if "main" in program else []
    assert [m for m in json.loads(done.stdout) if m.startswith("embedtune")] == used_by_quickstart


def test_the_documentation_shows_every_converter_and_writer():
    text = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    for name in CONVERTERS.names():
        assert f"### {name}\n" in text
        assert f"embedtune import {name}" in text
    for name in WRITERS.names():
        assert f"| `{name}` |" in text
