"""Tiny random models of every architecture that is packed, made here."""

from __future__ import annotations

from pathlib import Path

import pytest

ARCHITECTURES = ["bert", "roberta", "xlm-roberta", "camembert"]
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789.,?!:-你好世界检索模型向量文档。，？"


def build_model(folder: Path, architecture: str, *, pooling="mean", include_prompt=True, dense=False, positions=512):
    """Writes a random two-layer model with heads of 32 that knows single characters."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]  # the padding id is 1, as RoBERTa has it
    vocabulary = {token: number for number, token in enumerate([*special, *ALPHABET])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))  # noqa: S106
    tokenizer.pre_tokenizer = Split(Regex("."), "isolated")
    tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    names = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    offset = 0 if architecture == "bert" else 2
    torch.manual_seed(ARCHITECTURES.index(architecture))
    config = AutoConfig.for_model(
        architecture,
        vocab_size=len(vocabulary),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=positions + offset,
        pad_token_id=1,
        initializer_range=0.3,  # so that attention isn't uniform
    )
    backbone = folder / "backbone"
    AutoModel.from_config(config).save_pretrained(backbone)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=positions, **names).save_pretrained(backbone)
    pooled = Pooling(64, pooling, include_prompt=include_prompt)
    modules = [Transformer(str(backbone), max_seq_length=positions), pooled]
    if dense:
        modules += [Dense(pooled.pooling_output_dimension, 32), Normalize()]
    prompts = {"query": "为这个句子生成表示:", "document": ""}
    model = SentenceTransformer(modules=modules, prompts=prompts, device="cpu", similarity_fn_name="cosine")
    model.save_pretrained(str(folder / "model"), create_model_card=False)
    return folder / "model"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Returns a function that builds a model once a session."""
    built = {}

    def build(architecture, **options):
        key = (architecture, *sorted(options.items()))
        if key not in built:
            built[key] = build_model(tmp_path_factory.mktemp("packed"), architecture, **options)
        return built[key]

    return build
