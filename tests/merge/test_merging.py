from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense
from tests.conftest import build_tiny_model
from tests.models.test_vector_map import hidden, linear, save_with

from embedtune.errors import EncoderError, OptionsError, StorageError
from embedtune.merge.merging import merge
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.fingerprint import model_fingerprint
from embedtune.models.moved_documents import write_document_vectors

FLOAT32 = EncoderOptions(precision="float32")
TEXTS = ["水壶里有水垢怎么办", "how long to boil an egg", "tea"]


@pytest.fixture(scope="module")
def other_model(tmp_path_factory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("other"), seed=1)


@pytest.fixture(scope="module")
def third_model(tmp_path_factory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("third"), seed=2)


def merged(base, tuned, folder, weights):
    return merge(str(base), tuned if isinstance(tuned, list) else str(tuned), folder, weights=weights).folder


def weights_of(folder):
    return load_file(Path(folder) / "model.safetensors")


def vectors_of(folder, kind="query"):
    return load_encoder(folder, FLOAT32).encode(TEXTS, kind)


def changed(source, folder, change):
    """Saves a copy of a model with one thing changed."""
    model = SentenceTransformer(str(source), device="cpu")
    change(model)
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def test_weights_are_interpolated_exactly(tiny_model, other_model, tmp_path):
    base, tuned = weights_of(tiny_model), weights_of(other_model)
    mixed = weights_of(merged(tiny_model, other_model, tmp_path / "m", 0.3))
    assert set(mixed) == set(base)
    for name, found in mixed.items():
        by_hand = 0.7 * base[name].astype(np.float64) + 0.3 * tuned[name].astype(np.float64)
        np.testing.assert_array_equal(found, by_hand.astype(np.float32))


def test_several_models_share_what_the_base_leaves(tiny_model, other_model, third_model, tmp_path):
    parts = [weights_of(folder) for folder in (tiny_model, other_model, third_model)]
    names = [str(other_model), str(third_model)]
    mixed = weights_of(merged(tiny_model, names, tmp_path / "m", [0.25, 0.5]))
    for name, found in mixed.items():
        by_hand = 0.25 * parts[0][name].astype(np.float64) + 0.25 * parts[1][name] + 0.5 * parts[2][name]
        np.testing.assert_allclose(found, by_hand, rtol=1e-6, atol=1e-9)
    halves = json.loads(
        (merged(tiny_model, names, tmp_path / "n", None) / "embedtune.json").read_text(encoding="utf-8")
    )
    assert halves["made_from"]["weights"] == [0.25, 0.25]


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_ends_are_the_two_models(tiny_model, other_model, tmp_path, weight):
    folder = merged(tiny_model, other_model, tmp_path / "m", weight)
    expected = other_model if weight else tiny_model
    for kind in ("query", "document"):
        assert vectors_of(folder, kind).tobytes() == vectors_of(expected, kind).tobytes()


def test_modules_pooling_prompts_and_tokenizer_come_along(tmp_path):
    def prepare(model):
        model.prompts = {"query": "查询：", "document": "doc: "}
        model.max_seq_length = 64
        model.append(Dense(32, 16, activation_function=torch.nn.Tanh()))

    pair = []
    for name, seed in (("base", 0), ("tuned", 1)):
        source = build_tiny_model(tmp_path / name, seed=seed, pooling="cls")
        pair.append(changed(source, tmp_path / f"{name}-m", prepare))
    folder = merged(*pair, tmp_path / "m", 0.5)
    files = {path.relative_to(pair[0]) for path in pair[0].rglob("*") if path.is_file()}
    assert {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} == files | {
        Path("embedtune.json")
    }
    for name in files:
        if name.suffix != ".safetensors":
            assert (folder / name).read_bytes() == (pair[0] / name).read_bytes(), name
    plain = SentenceTransformer(str(folder), device="cpu")
    assert plain.prompts["query"] == "查询："
    assert "cls" in str(plain[1].get_config_dict()["pooling_mode"])
    dense = [load_file(path / "3_Dense" / "model.safetensors")["linear.weight"] for path in (*pair, folder)]
    by_hand = (0.5 * dense[0].astype(np.float64) + 0.5 * dense[1].astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(dense[2], by_hand)
    np.testing.assert_allclose(plain.encode_query(TEXTS, normalize_embeddings=True), vectors_of(folder), atol=2e-6)


def set_prompt(model):
    model.prompts["query"] = "find: "


def set_length(model):
    model.max_seq_length = 32


def set_similarity(model):
    model.similarity_fn_name = "dot"


def drop_word(model):
    model.tokenizer.add_tokens(["swordfish"])


def break_weights(model):
    next(iter(model.parameters())).data[0, 0] = float("nan")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_prompt, "query prompt: '' and 'find: '"),
        (set_length, "max_seq_length: 128 and 32"),
        (set_similarity, "similarity_fn_name: cosine and dot"),
        (drop_word, "tokenizer: differs"),
        (break_weights, "hold NaN"),
    ],
)
def test_what_differs_is_named_and_nothing_is_written(tiny_model, tmp_path, change, words):
    odd = changed(tiny_model, tmp_path / "odd", change)
    with pytest.raises(EncoderError, match=words):
        merged(tiny_model, odd, tmp_path / "m", 0.5)
    assert not (tmp_path / "m").exists()


def test_prompts_given_for_both_make_them_equal(tiny_model, tmp_path):
    odd = changed(tiny_model, tmp_path / "odd", set_prompt)
    options = EncoderOptions(query_instruction="find: ")
    folder = merge(str(tiny_model), str(odd), tmp_path / "m", encoder_options=options).folder
    assert SentenceTransformer(str(folder), device="cpu").prompts["query"] == "find: "


def test_other_pooling_and_shapes_are_refused_together(tiny_model, tmp_path):
    odd = build_tiny_model(tmp_path / "odd", seed=1, pooling="cls", normalise=False)
    model = SentenceTransformer(str(odd), device="cpu")
    model.transformers_model.resize_token_embeddings(7)
    model.save_pretrained(str(tmp_path / "short"), create_model_card=False)
    with pytest.raises(EncoderError) as caught:
        merged(tiny_model, tmp_path / "short", tmp_path / "m", 0.5)
    message = str(caught.value)
    assert "module 1" in message
    assert "cls" in message
    assert "module 2" in message
    assert "and (7, 32)" in message


@pytest.mark.parametrize("weights", [[1.2], [-0.1], [0.5, 0.6], [0.1, 0.2, 0.3], []])
def test_weights_that_are_no_shares(tiny_model, other_model, third_model, tmp_path, weights):
    names = [str(other_model), str(third_model)][: 1 if len(weights) == 1 else 2]
    if not weights:
        names = []
    with pytest.raises(OptionsError, match=r"one --weight for each --tuned|no tuned model"):
        merge(str(tiny_model), names, tmp_path / "m", weights=weights)


@pytest.mark.parametrize("query_map", [linear(), hidden()], ids=["linear", "hidden"])
def test_an_adapter_is_drawn_towards_the_identity(tiny_model, tmp_path, query_map):
    adapter = save_with(query_map, tiny_model, tmp_path / "adapter")
    base, full = vectors_of(tiny_model), vectors_of(adapter)
    half = vectors_of(merged(tiny_model, adapter, tmp_path / "half", 0.5))
    by_hand = base + 0.5 * added_by(query_map, base)
    np.testing.assert_allclose(half, by_hand / np.linalg.norm(by_hand, axis=1, keepdims=True), atol=2e-6)
    assert vectors_of(merged(tiny_model, adapter, tmp_path / "one", 1.0)).tobytes() == full.tobytes()
    none = merged(tiny_model, adapter, tmp_path / "none", 0.0)
    assert vectors_of(none).tobytes() == base.tobytes()
    assert vectors_of(tmp_path / "half", "document").tobytes() == vectors_of(tiny_model, "document").tobytes()


def added_by(query_map, queries):
    """What a map adds to a query before the length is made 1 again."""
    features = {"sentence_embedding": torch.from_numpy(queries)}
    with torch.no_grad():
        for module in query_map.modules:
            features = module(features)
    return features["sentence_embedding"].numpy() - queries


def test_adapters_that_cannot_be_merged(tiny_model, other_model, tmp_path):
    adapter = save_with(linear(), tiny_model, tmp_path / "adapter")
    with pytest.raises(EncoderError, match="trained on other weights"):
        merged(other_model, adapter, tmp_path / "m", 0.5)
    with pytest.raises(EncoderError, match="an adapter is merged alone"):
        merged(tiny_model, [str(adapter), str(other_model)], tmp_path / "m", [0.2, 0.2])
    with pytest.raises(EncoderError, match="has a query-side map itself"):
        merged(adapter, tiny_model, tmp_path / "m", 0.5)


def test_moved_documents_are_refused(tiny_model, tmp_path):
    nudged = changed(tiny_model, tmp_path / "nudged", lambda model: None)
    write_document_vectors(nudged, {"a": "x"}, np.ones((1, 32), dtype=np.float32), np.array([True]))
    with pytest.raises(EncoderError, match="moved by NUDGE"):
        merged(tiny_model, nudged, tmp_path / "m", 0.5)


def test_a_stranger_in_the_way_stays(tiny_model, other_model, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "precious").write_text("x")
    with pytest.raises(StorageError, match="exists already"):
        merged(tiny_model, other_model, tmp_path / "m", 0.5)


@pytest.mark.slow
def test_a_killed_merge_leaves_nothing(tiny_model, other_model, tmp_path):
    """The process is stopped while the weights are on the disk and the folder isn't in its place yet."""
    program = (
        "import sys, time; from pathlib import Path; import embedtune.models.tuned as tuned; "
        "from sentence_transformers import SentenceTransformer as S; save = S.save_pretrained; "
        "S.save_pretrained = lambda self, *a, **k: (save(self, *a, **k), print('saved', flush=True), time.sleep(60)); "
        "from embedtune.merge.merging import merge; merge(sys.argv[1], sys.argv[2], Path(sys.argv[3]))"
    )
    words = [sys.executable, "-c", program, str(tiny_model), str(other_model), str(tmp_path / "m")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(os.environ)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"saved\n"
        assert list(tmp_path.glob(".m.*.tmp/model.safetensors"))
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "m").exists()
    folder = merged(tiny_model, other_model, tmp_path / "m", 0.5)
    assert model_fingerprint(SentenceTransformer(str(folder), device="cpu"))
