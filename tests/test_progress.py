from __future__ import annotations

import os
import pty
import subprocess
import sys

from embedtune import progress

PROGRAM = """
import time
from embedtune import progress
with progress.shown():
    with progress.task("count sheep", total=3) as counting:
        for _ in range(3):
            time.sleep(0.4)
            counting.advance()
    progress.say("all asleep")
    print('{"sheep": 3}')
"""


def test_silent_until_asked(capsys):
    with progress.task("count", total=5) as counting:
        counting.advance(5)
    progress.say("nobody hears this")
    assert capsys.readouterr() == ("", "")


def test_lines_where_there_is_no_terminal():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == '{"sheep": 3}\n'
    assert "count sheep: 3/3 in 1.2 s" in done.stderr
    assert done.stderr.endswith("all asleep\n")


def test_a_bar_in_a_terminal_and_a_clean_stdout():
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                chunk = os.read(ours, 4096)
            except OSError:
                break
            if not chunk:
                break
            seen += chunk
        assert process.stdout is not None
        assert process.stdout.read() == b'{"sheep": 3}\n'
    os.close(ours)
    assert b"3/3" in seen
    assert "━".encode() in seen


def test_a_long_file_says_how_much_was_read(tmp_path, monkeypatch, capsys):
    from embedtune.data import text_files
    from embedtune.data.records import read_records

    rows = tmp_path / "数据.jsonl"
    rows.write_text('{"text": "除去水垢"}\n' * 100, encoding="utf-8")
    plain = [record.values for record in read_records(rows)]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(text_files, "_MEGABYTE", 10)
    monkeypatch.setattr(text_files, "_LONG_MEGABYTES", 1)
    monkeypatch.setattr(progress, "_SECONDS_WORTH_A_LINE", -1.0)
    with progress.shown():
        assert [record.values for record in read_records(rows)] == plain
    size = rows.stat().st_size // 10
    assert f"read 数据.jsonl (MB): {size}/{size} in" in capsys.readouterr().err
