"""The flags of the cache are the same in every verb that keeps vectors."""

from __future__ import annotations

import numpy as np
import pytest
from tests.conftest import SAMPLE

from embedtune.models.segment import Segment

VERBS = ("eval", "mine", "filter", "train", "merge", "gate", "export", "compress", "publish", "run", "quickstart")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_them(embedtune, verb):
    shown = " ".join(embedtune(verb, "--help").stdout.split())
    assert "--cache-dir" in shown
    assert "float32, or float16 for half the disk" in shown


def test_mined_vectors_are_kept_in_half(embedtune, tiny_model, tmp_path):
    words = ("mine", SAMPLE, "--encoder", tiny_model, "--cache-dir", "cache", "--cache-precision")
    assert embedtune(*words, "float16", "--out", "half.json").returncode == 0
    files = list((tmp_path / "cache").rglob("*.safetensors"))
    assert files
    assert all(Segment.open(file).vectors.dtype == np.float16 for file in files)
    again = embedtune(*words, "float16", "--out", "again.json")
    assert "encoded 0 texts" in again.stderr
    assert (tmp_path / "half.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    refused = embedtune(*words, "float8", "--out", "other.json")
    assert refused.returncode == 2
    assert "unknown value for option 'cache_precision': 'float8'; did you mean 'float32'?" in refused.stderr
