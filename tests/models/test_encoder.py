from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from tests.conftest import build_tiny_model

from embedtune.errors import EncoderError, OptionsError
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.fingerprint import model_fingerprint
from embedtune.models.sentence_transformer import SentenceTransformerEncoder, choose_device, choose_precision

FLOAT32 = EncoderOptions(precision="float32")


def texts_of(sample):
    return [*sample.corpus.values(), *sample.queries.values(), "a", "", "？", "word " * 400]


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "lasttoken"])
@pytest.mark.parametrize("normalise", [True, False])
def test_equals_sentence_transformers(tmp_path, sample, pooling, normalise):
    path = build_tiny_model(tmp_path, pooling=pooling, normalise=normalise)
    texts = texts_of(sample)
    ours = load_encoder(path, FLOAT32).encode(texts, "document")
    theirs = SentenceTransformer(str(path), device="cpu").encode_document(texts, normalize_embeddings=True)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_small_batches_give_the_same(tiny_model, tiny_encoder, sample):
    texts = texts_of(sample)
    small = load_encoder(tiny_model, EncoderOptions(precision="float32", tokens_per_batch=64))
    np.testing.assert_allclose(small.encode(texts, "query"), tiny_encoder.encode(texts, "query"), atol=2e-6)


def test_instructions_are_put_before_the_text(tiny_model, tiny_encoder):
    instruction = "为这个句子生成表示以用于检索相关文章："
    encoder = load_encoder(
        tiny_model,
        EncoderOptions(precision="float32", query_instruction=instruction, document_instruction="about: "),
    )
    question, document = "水壶里有水垢怎么办", "白醋"
    by_hand = tiny_encoder.encode([instruction + question, "about: " + document], "document")
    np.testing.assert_allclose(encoder.encode([question], "query")[0], by_hand[0], atol=2e-6)
    np.testing.assert_allclose(encoder.encode([document], "document")[0], by_hand[1], atol=2e-6)
    assert encoder.prompt("query") == instruction


def test_the_models_own_prompts_are_used(tiny_model, tmp_path):
    model = SentenceTransformer(str(tiny_model), device="cpu")
    model.prompts = {"query": "query: ", "passage": "passage: "}
    model.save_pretrained(str(tmp_path / "prompted"), create_model_card=False)
    encoder = load_encoder(tmp_path / "prompted", FLOAT32)
    plain = SentenceTransformer(str(tmp_path / "prompted"), device="cpu")
    np.testing.assert_allclose(encoder.encode(["tea"], "query"), plain.encode_query(["tea"]), atol=2e-6)
    np.testing.assert_allclose(encoder.encode(["tea"], "document"), plain.encode_document(["tea"]), atol=2e-6)
    assert encoder.prompt("query") == "query: "
    emptied = load_encoder(tmp_path / "prompted", EncoderOptions(precision="float32", query_instruction=""))
    assert emptied.prompt("query") == ""


def test_nothing_and_one_text(tiny_encoder):
    assert tiny_encoder.encode([], "query").shape == (0, 32)
    assert tiny_encoder.encode(["x"], "query").shape == (1, 32)


def test_long_texts_are_cut_at_the_limit(tiny_model):
    encoder = load_encoder(tiny_model, EncoderOptions(precision="float32", max_length=8))
    long, cut = encoder.encode(["a b c d e f g h i j k", "a b c d e f"], "query")
    np.testing.assert_allclose(long, cut, atol=2e-6)
    assert encoder.count_tokens(["a b c d e f g h i j k"]) == [13]


def test_bfloat16_is_close(tiny_model, tiny_encoder, sample):
    texts = texts_of(sample)
    rough = load_encoder(tiny_model, EncoderOptions(precision="bfloat16")).encode(texts, "query")
    cosine = (rough * tiny_encoder.encode(texts, "query")).sum(axis=1)
    assert cosine.min() > 0.999


def test_what_is_not_a_text_and_not_a_number(tiny_model, tiny_encoder):
    with pytest.raises(EncoderError, match="expected texts, found int at position 1"):
        tiny_encoder.encode(["a", 3], "query")
    model = SentenceTransformer(str(tiny_model), device="cpu")
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    broken = SentenceTransformerEncoder(model, FLOAT32)
    with pytest.raises(EncoderError, match="isn't finite for 1 of 1 texts, the first being 'some text'"):
        broken.encode(["some text"], "query")


def test_fingerprint_survives_saving_and_sees_one_weight(tiny_model, tmp_path):
    model = SentenceTransformer(str(tiny_model), device="cpu")
    before = model_fingerprint(model)
    model.save_pretrained(str(tmp_path / "again"), create_model_card=False)
    assert model_fingerprint(SentenceTransformer(str(tmp_path / "again"), device="cpu")) == before
    model.encode(["a text that sets the tokenizer's padding"])
    assert model_fingerprint(model) == before
    changed = copy.deepcopy(model)
    with torch.no_grad():
        next(changed.parameters())[0, 0] += 1e-6
    assert model_fingerprint(changed) != before
    other_pooling = copy.deepcopy(model)
    other_pooling[1].pooling_mode = "cls"
    assert model_fingerprint(other_pooling) != before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no/such/folder/here", "can't be a model's name on the Hub"),
        ("BAAI/bge-small-zh-v1.5", "isn't in the local Hub cache"),
    ],
)
def test_models_that_cannot_be_found(name, words):
    with pytest.raises(EncoderError, match=words) as caught:
        load_encoder(name)
    assert "minilm" in str(caught.value)


def test_folders_that_hold_no_model(tmp_path, tiny_model):
    with pytest.raises(EncoderError, match=r"neither modules\.json nor config\.json"):
        load_encoder(tmp_path)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in tiny_model.iterdir():
        if file.is_file() and file.suffix != ".safetensors":
            (damaged / file.name).write_bytes(file.read_bytes())
    with pytest.raises(EncoderError, match="can't be loaded"):
        load_encoder(damaged)


def test_choices_of_hardware():
    assert choose_precision("float16", torch.device("cpu")) == "float16"
    assert choose_precision("auto", torch.device("cpu")) in ("bfloat16", "float32")
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(EncoderError, match="unknown device 'gpu'"):
        choose_device("gpu")
    with pytest.raises(OptionsError, match=r"'bloat16'; did you mean '.*float16'"):
        EncoderOptions(precision="bloat16")
