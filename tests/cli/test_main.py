from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import embedtune as package
from embedtune.cli.main import VERBS
from embedtune.data.converters import CONVERTERS

SOURCE = Path(package.__file__).parents[1]
LAZY = ("torch", "sentence_transformers", "transformers", "datasets", "peft")


def test_help_fits_a_screen_and_cuts_nothing(embedtune, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = embedtune("--help").stdout.splitlines()
    assert len(lines) <= 32
    assert max(map(len, lines)) <= 80
    listed = [line for line in lines if re.match(r"  [a-z]", line)]
    assert [line.split()[0] for line in listed] == list(VERBS)
    assert not [line for line in listed if line.endswith("...")]
    assert "--install-completion" in lines[-1]


@pytest.mark.parametrize(
    "words", [[verb] for verb in VERBS] + [["import", name] for name in CONVERTERS.names()], ids=" ".join
)
def test_every_help_has_an_example_that_is_its_own(embedtune, words):
    shown = embedtune(*words, "--help").stdout
    assert f"Example: embedtune {' '.join(words)}" in " ".join(shown.split())


def test_shared_flags_stand_under_their_heading(embedtune):
    shown = embedtune("train", "--help").stdout
    own, shared = shown.split("\nEncoder:\n")
    assert "--negatives" in own.split("\nOptions:\n")[1]
    assert "--max-length" in shared
    assert "--max-length" not in own
    assert "\nGuards and the gate:\n" in own
    filters = embedtune("filter", "--help").stdout
    assert "--base-url" in filters.split("\nLanguage model:\n")[1]


def test_help_of_the_defaults_loads_nothing_heavy(tmp_path):
    program = (
        "import sys\nfrom typer.testing import CliRunner\nfrom embedtune.cli.main import app\n"
        "for verb in ('--help', 'train', 'export', 'publish', 'synth', 'mine', 'doctor'):\n"
        "    assert CliRunner().invoke(app, [verb, '--help']).exit_code == 0, verb\n"
        f"    print(verb, [name for name in {LAZY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert re.findall(r"\S+ \[(.+)\]", done.stdout) == []


BASH = """
source completion.sh
_try() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
    COMPREPLY=()
    _embedtune_completion "$1"
    printf '%s\\n' "${COMPREPLY[*]}"
}
_try ./embedtune ch
_try ./embedtune train dataset.json --method ad
_try ./embedtune eval dataset.json --precision bf
_try ./embedtune check da
complete -p embedtune
compgen -f -- da
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_tab_in_a_real_bash(tmp_path):
    command = tmp_path / "embedtune"
    main = "import sys; sys.argv[0] = 'embedtune'; from embedtune.cli.main import main; main()"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{main}" "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    (tmp_path / "dataset.json").write_text(json.dumps({}), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    run = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True, "check": True}
    script = subprocess.run([command, "--show-completion", "bash"], **run).stdout
    (tmp_path / "completion.sh").write_text(script, encoding="utf-8")
    done = subprocess.run(["bash", "--norc", "-c", BASH], **run)
    assert done.stdout.splitlines() == [
        "check",
        "adapter",
        "bfloat16",
        "",  # a path: bash's own completion of files, which -o default asks for
        "complete -o default -F _embedtune_completion embedtune",
        "dataset.json",
    ]
