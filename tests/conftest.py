"""Fixtures that several tests share; everything is built here, nothing is downloaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

SAMPLE = Path(__file__).parent / "samples" / "household.json"
SHARED = Path(__file__).parents[2] / "shared" / "data"

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # tiny models, and a worker on every core
os.environ["TOKENIZERS_PARALLELISM"] = "false"


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    """Keeps the default cache of vectors inside the test's own folder."""
    monkeypatch.setenv("EMBEDTUNE_CACHE_DIR", str(tmp_path / "default-cache"))


@pytest.fixture
def sample():
    """Twenty-four household questions in English and Chinese that the project wrote itself."""
    from embedtune.data.dataset import RetrievalDataset

    return RetrievalDataset.read(SAMPLE)


@pytest.fixture
def sample_fields() -> dict[str, Any]:
    return json.loads(SAMPLE.read_text(encoding="utf-8"))


@pytest.fixture
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"the real test collections aren't here: {SHARED.name} is missing beside the checkout")
    return SHARED


def build_tiny_model(folder: Path, *, seed: int = 0, pooling: str = "mean", normalise: bool = True) -> Path:
    """Writes a random two-layer BERT that knows every character of the sample, as a sentence-transformers folder."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    text = SAMPLE.read_text(encoding="utf-8")
    characters = sorted({character for character in text.lower() if not character.isspace()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters]
    vocabulary += [f"##{character}" for character in characters if character.isalnum()]
    backbone = folder / "backbone"
    backbone.mkdir(parents=True)
    (backbone / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    BertModel(config).save_pretrained(backbone)
    BertTokenizerFast(vocab=str(backbone / "vocab.txt")).save_pretrained(backbone)
    transformer = Transformer(str(backbone), max_seq_length=128)
    modules = [transformer, Pooling(32, pooling_mode=pooling), *([Normalize()] if normalise else [])]
    model = SentenceTransformer(modules=modules, device="cpu")
    path = folder / "model"
    model.save_pretrained(str(path), create_model_card=False)
    return path


def build_tiny_reranker(folder: Path, *, seed: int = 0, outputs: int = 1) -> Path:
    """Writes a random two-layer cross-encoder with the tiny model's tokenizer, as a sentence-transformers folder."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification

    backbone = build_tiny_model(folder).parent / "backbone"
    torch.manual_seed(seed)
    config = BertConfig.from_pretrained(backbone, num_labels=outputs, initializer_range=0.2)
    BertForSequenceClassification(config).save_pretrained(backbone)
    path = folder / "reranker"
    CrossEncoder(str(backbone), device="cpu").save_pretrained(str(path), create_model_card=False)
    return path


@pytest.fixture(scope="session")
def tiny_reranker(tmp_path_factory) -> Path:
    return build_tiny_reranker(tmp_path_factory.mktemp("tiny-reranker"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def tiny_encoder(tiny_model):
    from embedtune.models.encoder import EncoderOptions, load_encoder

    return load_encoder(tiny_model, EncoderOptions(precision="float32"))


class Done(NamedTuple):
    """What a command left behind, as subprocess names it."""

    returncode: int
    stdout: str
    stderr: str


class CommandLine:
    """Runs the real command line in this process, which is much faster than starting another."""

    def __call__(self, *words: object) -> Done:
        from embedtune.cli.main import app

        result = CliRunner().invoke(app, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def embedtune(tmp_path, monkeypatch) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    return CommandLine()


@pytest.fixture
def embedtune_process(tmp_path):
    """Runs the command line in a process of its own: for what an import decides, and for what a user sees."""

    def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "embedtune", *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=1200,
            check=False,
        )

    return run
