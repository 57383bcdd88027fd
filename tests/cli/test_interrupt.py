from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from tests.conftest import SAMPLE


def test_ctrl_c_ends_without_traceback_and_keeps_what_is_done(tmp_path, tiny_model, embedtune):
    words = ["eval", str(SAMPLE), "--encoder", str(tiny_model), "--cache-dir", "c", "--out", "out"]
    process = subprocess.Popen(
        [sys.executable, "-m", "embedtune", *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    while "tokens a text" not in (line := process.stderr.readline()):
        assert line, "the evaluation ended before it could be stopped"
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    process.stderr.close()
    if process.wait() == 0:
        pytest.skip("it was done before the signal came")
    assert process.returncode == 130
    assert "embedtune: stopped; what is finished is kept" in rest
    assert "Traceback" not in rest
    assert not (tmp_path / "out").exists()
    assert embedtune(*words).returncode == 0
