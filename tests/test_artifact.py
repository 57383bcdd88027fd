from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from embedtune.artifact import MANIFEST, Artifact, disk_errors, write_text_whole
from embedtune.errors import StorageError


def write(folder, text, **keywords):
    with Artifact.create(folder, "note", {"by": "test"}, **keywords) as temporary:
        (temporary / "text").write_text(text)


def test_complete_with_manifest(tmp_path):
    write(tmp_path / "a" / "b", "hello")
    artifact = Artifact.open(tmp_path / "a" / "b", "note")
    assert (artifact.folder / "text").read_text() == "hello"
    assert artifact.manifest["made_from"] == {"by": "test"}
    assert artifact.manifest["versions"]["embedtune"]


def test_failure_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), Artifact.create(tmp_path / "a", "note", {}):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_kill_leaves_no_readable_artifact(tmp_path):
    program = (
        "import os, signal, sys\n"
        "from embedtune.artifact import Artifact\n"
        "with Artifact.create(sys.argv[1], 'note', {}) as folder:\n"
        "    (folder / 'text').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "a").exists()
    write(tmp_path / "a", "whole")
    assert Artifact.open(tmp_path / "a", "note")


def test_existing_folder_is_refused_and_kept(tmp_path):
    write(tmp_path / "a", "first")
    with pytest.raises(StorageError, match="exists already"):
        write(tmp_path / "a", "second")
    assert (tmp_path / "a" / "text").read_text() == "first"


def test_overwrite_replaces_only_the_same_kind(tmp_path):
    write(tmp_path / "a", "first")
    write(tmp_path / "a", "second", overwrite=True)
    assert (tmp_path / "a" / "text").read_text() == "second"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("meow")
    with pytest.raises(StorageError, match="no readable"):
        write(tmp_path / "photos", "third", overwrite=True)
    assert (tmp_path / "photos" / "cat.jpg").read_text() == "meow"


def test_failed_overwrite_keeps_the_old(tmp_path):
    write(tmp_path / "a", "first")
    with pytest.raises(ZeroDivisionError), Artifact.create(tmp_path / "a", "note", {}, overwrite=True):
        raise ZeroDivisionError
    assert (tmp_path / "a" / "text").read_text() == "first"


def test_open_says_what_is_wrong(tmp_path):
    with pytest.raises(StorageError, match="doesn't exist"):
        Artifact.open(tmp_path / "none", "note")
    write(tmp_path / "a", "x")
    with pytest.raises(StorageError, match="holds a note, expected a model"):
        Artifact.open(tmp_path / "a", "model")
    (tmp_path / "a" / MANIFEST).write_text("{")
    with pytest.raises(StorageError, match="no readable"):
        Artifact.open(tmp_path / "a", "note")


def test_text_file_is_replaced_whole(tmp_path):
    path = tmp_path / "folder" / "a.json"
    write_text_whole(path, "one")
    write_text_whole(path, json.dumps("二"))
    assert json.loads(path.read_text(encoding="utf-8")) == "\u4e8c"
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


def test_full_disk_is_told_with_the_way_out(tmp_path):
    with pytest.raises(StorageError, match=r"no space left to write .*MB free"), disk_errors(tmp_path):
        raise OSError(28, "No space left on device")
