"""The packed forward pass equals sentence-transformers on every architecture, pooling, prompt and length."""

from __future__ import annotations

import gc
import random

import numpy as np
import pytest
import torch
from tests.models.packed.conftest import ALPHABET, ARCHITECTURES

from embedtune.errors import EncoderError
from embedtune.models.packed import bert
from embedtune.models.packed.bert import onednn_takes_bfloat16

POOLINGS = ["mean", "cls", "lasttoken", "max", "mean_sqrt_len_tokens", "weightedmean"]
chooser = random.Random(0)
TEXTS = [
    "",
    "a",
    "你",
    "<pad>",
    "a<pad>b",
    "how long is a text?",
    "向量检索模型。",
    *("".join(chooser.choices(ALPHABET, k=length)) for length in (15, 16, 17, 64, 100, 255, 509, 510, 511, 900)),
]


def encoder(path, **options):
    from embedtune.models.encoder import EncoderOptions, load_encoder

    return load_encoder(path, EncoderOptions(**options))


def reference(path, kind):
    """What plain sentence-transformers gives, unit length as we return it."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(path), device="cpu")
    encode = model.encode_query if kind == "query" else model.encode_document
    return encode(TEXTS, normalize_embeddings=True)


def cosines(one, other):
    return (one * other).sum(axis=1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1))


@pytest.mark.parametrize("kind", ["query", "document"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_equals_sentence_transformers(tiny, architecture, kind):
    path = tiny(architecture)
    packed = encoder(path, precision="float32", forward="packed")
    assert "packed" in str(packed)
    np.testing.assert_allclose(packed.encode(TEXTS, kind), reference(path, kind), atol=2e-6)


@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_with_and_without_the_prompt(tiny, pooling, include_prompt):
    path = tiny("bert", pooling=pooling, include_prompt=include_prompt)
    packed = encoder(path, precision="float32", forward="packed")
    np.testing.assert_allclose(packed.encode(TEXTS, "query"), reference(path, "query"), atol=2e-6)


def test_modules_after_pooling(tiny):
    path = tiny("bert", dense=True)
    packed = encoder(path, precision="float32", forward="packed")
    np.testing.assert_allclose(packed.encode(TEXTS, "document"), reference(path, "document"), atol=2e-6)


@pytest.mark.skipif(not onednn_takes_bfloat16(), reason="oneDNN takes bfloat16 with AVX-512 only")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bfloat16_is_near(tiny, architecture):
    path = tiny(architecture)
    found = encoder(path, precision="bfloat16", forward="packed").encode(TEXTS, "document")
    assert cosines(found, reference(path, "document")).min() > 0.999


def test_a_shorter_limit_cuts(tiny):
    path = tiny("roberta")
    short = encoder(path, precision="float32", forward="packed", max_length=10)
    plain = encoder(path, precision="float32", forward="sentence-transformers", max_length=10)
    np.testing.assert_allclose(short.encode(TEXTS, "query"), plain.encode(TEXTS, "query"), atol=2e-6)


def test_bfloat16_goes_without_packing_where_onednn_refuses_it(tiny, monkeypatch):
    monkeypatch.setattr(bert, "onednn_takes_bfloat16", lambda: False)
    path = tiny("bert")
    assert "sentence-transformers" in str(encoder(path, precision="bfloat16"))
    with pytest.raises(EncoderError, match="packed forward pass in bfloat16 can't be had"):
        encoder(path, precision="bfloat16", forward="packed")


def test_a_text_has_one_vector_in_any_company(tiny):
    path = tiny("bert")
    precision = "bfloat16" if onednn_takes_bfloat16() else "float32"
    packed = encoder(path, precision=precision, forward="packed")
    together = packed.encode(TEXTS, "document")
    np.testing.assert_allclose(together[:-1], packed.encode(TEXTS[:-1], "document"), atol=2e-3)
    alone = np.concatenate([packed.encode([text], "document") for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=2e-3)


def test_another_architecture_falls_back(tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from tests.conftest import build_tiny_model
    from transformers import AutoTokenizer, DistilBertConfig, DistilBertModel

    from embedtune.errors import EncoderError

    donor = build_tiny_model(tmp_path / "donor") / ".." / "backbone"
    tokenizer = AutoTokenizer.from_pretrained(donor)
    config = DistilBertConfig(vocab_size=len(tokenizer), dim=32, n_layers=1, n_heads=2, hidden_dim=64)
    DistilBertModel(config).save_pretrained(tmp_path / "backbone")
    tokenizer.save_pretrained(tmp_path / "backbone")
    model = SentenceTransformer(modules=[Transformer(str(tmp_path / "backbone")), Pooling(32)], device="cpu")
    model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    found = encoder(tmp_path / "model", precision="float32")
    assert "sentence-transformers" in str(found)
    assert found.encode(["a", "b"], "query").shape == (2, 32)
    with pytest.raises(EncoderError, match="packed forward pass in float32"):
        encoder(tmp_path / "model", precision="float32", forward="packed")


class TestKernels:
    """Where they were built, the kernels equal the same formulas in float32."""

    @pytest.fixture
    def kernels(self):
        from embedtune.models.packed.kernels import compiled_kernels

        return compiled_kernels() or pytest.skip("the kernels weren't built, or this CPU lacks AVX-512 with bfloat16")

    @pytest.mark.parametrize("size", [32, 64, 96, 128])
    def test_attention(self, kernels, size):
        from embedtune.models.packed.layers import attend_in_blocks
        from embedtune.models.packed.texts import pack

        torch.manual_seed(size)
        lengths = [1, 2, 3, 15, 16, 17, 31, 33, 64, 65, 100, 128, 255, 512]
        texts = pack([[0] * length for length in lengths])
        qkv = torch.randn(sum(lengths), 3 * 2 * size)
        exact = attend_in_blocks(qkv.bfloat16().float(), texts, 2)
        found = kernels.attention(qkv.bfloat16(), texts.borders, 2).float()
        assert ((found - exact).norm() / exact.norm()).item() < 0.004

    def test_rows_come_back_from_int8(self, kernels):
        x = torch.randn(7, 48).bfloat16()
        x[3] = 0
        smooth = torch.rand(48) + 0.5
        scaled, scales = kernels.quantise(x, smooth)
        assert (scaled * scales[:, None] - x.float() * smooth).abs().max() <= scales.max() * 0.51
        assert scaled[3].eq(0).all()

    def test_gelu_and_norm_of_products(self, kernels):
        torch.manual_seed(1)
        sums, scales = torch.randint(-9000, 9000, (5, 64), dtype=torch.int32), torch.rand(5) * 1e-3
        columns, bias = torch.rand(64) + 0.5, torch.randn(64)
        value = sums * scales[:, None] * columns + bias
        np.testing.assert_allclose(kernels.dequantise(sums, scales, columns, bias).float(), value, rtol=0.01, atol=0.01)
        scaled, new = kernels.gelu(sums, scales, columns, bias)
        back = new[:, None] * (scaled.float() + 128) - 0.17
        assert (back - torch.nn.functional.gelu(value)).abs().max() <= new.max() * 0.51 + 1e-6
        residual, gamma, beta = torch.randn(5, 64).bfloat16(), torch.rand(64), torch.randn(64)
        out, scaled, new = kernels.norm(sums, scales, columns, None, bias, residual, (gamma, beta, 1e-12), None)
        exact = torch.nn.functional.layer_norm(value + residual.float(), (64,), gamma, beta, 1e-12)
        np.testing.assert_allclose(out.float(), exact, rtol=0.01, atol=0.01)
        assert (scaled * new[:, None] - exact).abs().max() <= new.max() * 0.51 + 1e-5

    @pytest.mark.parametrize("architecture", ["bert", "xlm-roberta"])
    def test_int8_is_near_and_says_how_near(self, tiny, architecture, monkeypatch, kernels):
        from embedtune import progress

        said = []
        monkeypatch.setattr(progress, "say", said.append)
        path = tiny(architecture)
        quick = encoder(path, precision="int8")
        found = quick.encode(TEXTS, "document")
        assert cosines(found, reference(path, "document")).min() > 0.98
        quick.encode(TEXTS, "document")
        assert len(said) == 1
        assert "cosine to float32" in said[0]

    def test_kernels_of_another_source_are_left_alone(self, monkeypatch, tmp_path, kernels):
        from embedtune.models.packed import kernels as module

        other = tmp_path / "kernels.c"
        other.write_text("changed")
        monkeypatch.setattr(module, "_SOURCE", other)
        assert module.compiled_kernels.__wrapped__() is None


def test_without_kernels_pytorch_computes_the_same(tiny, monkeypatch):
    from embedtune.errors import EncoderError
    from embedtune.models.packed import bert, layers

    path = tiny("bert")
    fast = encoder(path, precision="bfloat16").encode(TEXTS, "query")
    monkeypatch.setattr(layers, "compiled_kernels", lambda: None)
    monkeypatch.setattr(bert, "compiled_kernels", lambda: None)
    assert cosines(encoder(path, precision="bfloat16").encode(TEXTS, "query"), fast).min() > 0.999
    with pytest.raises(EncoderError, match="int8"):
        encoder(path, precision="int8")


def test_the_models_own_weights_are_let_go(tiny):
    packed = encoder(tiny("bert"), precision="float32")
    gc.collect()
    assert sum(parameter.numel() for parameter in packed.model.parameters()) == 0
    assert packed.max_length == 512
