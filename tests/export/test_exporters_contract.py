"""What every format owes: a complete folder, near the model, that a new process can open."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from tests.export.conftest import FLOAT32

from embedtune.export.exporters import EXPORTERS
from embedtune.models.encoder import EncoderOptions, load_encoder

TEXTS = ["水壶里有水垢怎么办", "green tea", "", "word " * 400, "green tea"]
LOWEST_COSINE = {"onnx": 0.99999, "openvino": 0.999, "fp16": 0.999, "bf16": 0.99, "onnx-int8": 0.95}
every_format = pytest.mark.parametrize("name", EXPORTERS.names())


@every_format
def test_is_as_near_as_it_says(exported, tiny_model, name):
    done = exported(name)
    cosines = done.proof.fidelity.cosines
    ours = load_encoder(done.folder).encode(TEXTS, "document")
    if name == "static":
        assert cosines is None
        return
    exact = load_encoder(tiny_model, FLOAT32).encode(TEXTS, "document")
    used = [row for row, text in enumerate(TEXTS) if text]
    assert ((ours * exact).sum(axis=1)[used] > LOWEST_COSINE[name]).all()
    assert LOWEST_COSINE[name] < cosines.lowest <= cosines.first_percentile <= cosines.mean < 1.0001


def test_a_new_process_gives_the_same_vectors(exported, tmp_path):
    folders = [exported(name).folder for name in EXPORTERS.names() if name != "openvino"]
    program = f"""
import sys
import numpy as np
from embedtune import load_encoder
vectors = [load_encoder(folder).encode({TEXTS!r}, "query") for folder in sys.argv[2:]]
np.savez(sys.argv[1], *vectors)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "v.npz"), *map(str, folders)], check=True)
    there = np.load(tmp_path / "v.npz")
    for folder, name in zip(folders, there.files, strict=True):
        np.testing.assert_allclose(there[name], load_encoder(folder).encode(TEXTS, "query"), atol=1e-6)


@every_format
def test_protocol(exported, name):
    encoder = load_encoder(exported(name).folder)
    vectors = encoder.encode(TEXTS, "document")
    assert vectors.shape == (len(TEXTS), encoder.dim)
    assert vectors.dtype == np.float32
    assert encoder.encode([], "query").shape == (0, encoder.dim)
    alone = np.concatenate([encoder.encode([text], "document") for text in TEXTS])
    np.testing.assert_allclose(alone, vectors, atol=2e-3)
    assert json.dumps(encoder.cache_key)
    assert str(encoder)


@every_format
def test_figures_are_in_the_readme_and_the_manifest(exported, name):
    done = exported(name)
    readme = (done.folder / "README.md").read_text(encoding="utf-8")
    manifest = json.loads((done.folder / "embedtune.json").read_text(encoding="utf-8"))
    assert f"{done.proof.fidelity.difference.mean_b:.4f}" in readme
    assert manifest["made_from"]["result"]["fidelity"]["difference"]["mean_b"] == done.proof.fidelity.difference.mean_b
    assert manifest["made_from"]["result"]["size_bytes"] > 0


def test_no_two_formats_share_cached_vectors(exported, tiny_model):
    folders = [exported(name).folder for name in ("fp16", "onnx", "onnx-int8")]
    keys = [json.dumps(load_encoder(folder, EncoderOptions()).cache_key) for folder in [tiny_model, *folders]]
    assert len(set(keys)) == len(keys)
