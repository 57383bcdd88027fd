"""What a user gets wrong is said before anything long begins."""

from __future__ import annotations

import dataclasses

import pytest
from tests.conftest import SAMPLE


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budget", "soon"), "write it as 90s, 30m or 1h"),
        (("--guard", "manuals"), "expected NAME=DATASET"),
        (("--guard", "manuals=missing.json"), "the guard 'manuals' can't be read"),
    ],
)
def test_mistakes_are_said_at_once(embedtune, tiny_model, tmp_path, words, said):
    done = embedtune("bakeoff", SAMPLE, "--encoder", tiny_model, *words, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_dataset_without_val_is_refused_with_the_remedy(embedtune, tiny_model, sample, tmp_path):
    dataclasses.replace(sample, queries_split={"train": list(sample.queries)}).write(tmp_path / "d.json")
    done = embedtune("bakeoff", tmp_path / "d.json", "--encoder", tiny_model, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "no query of the split 'val' has a relevant document" in done.stderr
    assert "embedtune split" in done.stderr
