"""What every format owes: a complete folder, near the model, that a new process can open."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from tests.export.conftest import FLOAT32, PROMPT

from embedtune.errors import EncoderError
from embedtune.export.exporters import EXPORTERS
from embedtune.export.exporting import export
from embedtune.models.encoder import load_encoder
from embedtune.models.tuned_encoder import moved_documents_of

TEXTS = ["水壶里有水垢怎么办", "green tea", "", "word " * 400, "green tea"]
LOWEST_COSINE = {"onnx": 0.99999, "openvino": 0.999, "fp16": 0.999, "bf16": 0.99, "onnx-int8": 0.95}


def cosines(one, other):
    return (one * other).sum(axis=1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1))


def test_is_as_near_as_it_says(exported, source_of, name):
    done = exported(name)
    if name == "static":
        assert done.proof.fidelity.cosines is None
        return
    ours, exact = load_encoder(done.folder), load_encoder(source_of(name), FLOAT32)
    for kind in ("query", "document"):
        assert cosines(ours.encode(TEXTS, kind), exact.encode(TEXTS, kind)).min() > LOWEST_COSINE[name]
    said = done.proof.fidelity.cosines
    assert LOWEST_COSINE[name] < said.lowest <= said.first_percentile <= said.mean < 1.0001


def test_map_prompt_and_moved_documents_are_kept(exported, source_of, name):
    if name == "static":
        return
    ours, exact = load_encoder(exported(name).folder), load_encoder(source_of(name), FLOAT32)
    assert ours.prompt("query") == PROMPT
    assert ours.prompt("document") == ""
    assert cosines(ours.encode([PROMPT + "tea"], "document"), ours.encode(["tea"], "query")).max() < 0.9
    assert moved_documents_of(ours).fingerprint == moved_documents_of(exact).fingerprint


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


def test_figures_are_in_the_readme_and_the_manifest(exported, name):
    done = exported(name)
    readme = (done.folder / "README.md").read_text(encoding="utf-8")
    manifest = json.loads((done.folder / "embedtune.json").read_text(encoding="utf-8"))
    assert f"{done.proof.fidelity.difference.mean_b:.4f}" in readme
    assert manifest["made_from"]["result"] == json.loads(json.dumps(done.to_json()))


@pytest.mark.slow
def test_a_new_process_gives_the_same_vectors(exported, tmp_path):
    folders = [exported(name).folder for name in ("bf16", "onnx", "static")]
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


def test_no_two_formats_share_cached_vectors(exported, tuned):
    folders = [tuned, *(exported(name).folder for name in ("fp16", "bf16", "onnx"))]
    keys = [json.dumps(load_encoder(folder, FLOAT32).cache_key) for folder in folders]
    assert len(set(keys)) == len(keys)


def test_a_changed_graph_has_another_key(exported, tmp_path):
    folder = exported("onnx").folder
    subprocess.run(["cp", "-r", str(folder), str(tmp_path / "copy")], check=True)
    assert load_encoder(tmp_path / "copy").cache_key == load_encoder(folder).cache_key
    with (tmp_path / "copy" / "onnx" / "model.onnx").open("ab") as file:
        file.write(b"\x72\x00")  # an empty field that ONNX doesn't know
    assert load_encoder(tmp_path / "copy").cache_key["weights"] != load_encoder(folder).cache_key["weights"]


def test_static_refuses_what_it_would_leave_behind(tuned, household, tmp_path):
    with pytest.raises(EncoderError, match="has a map of queries"):
        export(str(tuned), household, tmp_path / "out", format_name="static")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", EXPORTERS.names())
def test_every_format_has_limits_and_a_line_of_help(name):
    assert EXPORTERS.summary(name)
    if name == "openvino":
        pytest.importorskip("openvino")
    assert {"least_cosine", "most_lost", "least_speedup"} <= set(EXPORTERS.load(name).OPTIONS.model_fields)
