from __future__ import annotations

import pytest

from embedtune.pipeline.steps import Steps


class Counter:
    def __init__(self):
        self.calls = []

    def __call__(self, path):
        self.calls.append(path.name)
        path.write_text("done")


def run_two(folder, work, first=1, second=1):
    steps = Steps(folder)
    folder.mkdir(exist_ok=True)
    steps.run("one", "one.txt", {"x": first}, (), work)
    steps.run("two", "two.txt", {"y": second}, ("one",), work)
    return steps


def test_finished_steps_are_done_once(tmp_path):
    work = Counter()
    run_two(tmp_path / "run", work)
    steps = run_two(tmp_path / "run", work)
    assert work.calls == ["one.txt", "two.txt"]
    assert steps.reused == ["one", "two"]
    assert set(steps.seconds()) == {"one", "two"}


def test_a_changed_option_redoes_the_step_and_what_follows(tmp_path):
    work = Counter()
    run_two(tmp_path / "run", work)
    run_two(tmp_path / "run", work, second=2)
    assert work.calls == ["one.txt", "two.txt", "two.txt"]
    run_two(tmp_path / "run", work, first=2, second=2)
    assert work.calls[3:] == ["one.txt", "two.txt"]


def test_a_missing_output_or_record_is_made_again(tmp_path):
    work = Counter()
    run_two(tmp_path / "run", work)
    (tmp_path / "run" / "two.txt").unlink()
    run_two(tmp_path / "run", work)
    assert work.calls == ["one.txt", "two.txt", "two.txt"]
    (tmp_path / "run" / "steps.json").write_text("{")
    run_two(tmp_path / "run", work)
    assert work.calls[3:] == ["one.txt", "two.txt"]


def test_a_step_that_fails_is_not_recorded(tmp_path):
    def fail(path):
        path.write_text("half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_two(tmp_path / "run", fail)
    work = Counter()
    run_two(tmp_path / "run", work)
    assert work.calls == ["one.txt", "two.txt"]
