"""The card says what the manifest and the evaluations say, and the folder goes to a Hub on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from tests.conftest import SAMPLE, build_tiny_model
from tests.export.card_hub import WritableHub

from embedtune.errors import OptionsError, StorageError
from embedtune.evaluate.comparison import compare
from embedtune.evaluate.evaluation import evaluate, read_evaluation, write_evaluation
from embedtune.export.card_options import CardOptions
from embedtune.export.model_card import model_card, write_model_card
from embedtune.models.tuned import TunedModel
from embedtune.search.retrievers import make_retriever

TOKEN = "hf_secret-token-77"  # noqa: S105
PROGRAM = """
import json, sys
from typer.testing import CliRunner
from embedtune.cli.main import app
results = [CliRunner().invoke(app, words) for words in json.loads(sys.argv[1])]
print(json.dumps([[result.exit_code, result.stdout, result.stderr] for result in results]))
"""
MADE_FROM = {
    "method": "full",
    "base": "minilm",
    "dataset": "/home/somebody/corpora/household.json",
    "dataset_sha256": "abc123",
    "split": "train",
    "examples": 14,
    "options": {"epochs": 1, "seed": 7},
    "measure": "ndcg_at_10",
    "checkpoints": [{"step": 0, "score": 0.5}, {"step": 9, "score": 0.625}],
    "chosen": {"step": 9, "score": 0.625},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tuned model's folder and evaluations of two retrievers."""
    from sentence_transformers import SentenceTransformer

    from embedtune.data.dataset import RetrievalDataset
    from embedtune.models.encoder import load_encoder

    folder = tmp_path_factory.mktemp("card")
    base = build_tiny_model(folder / "base")
    TunedModel.save(SentenceTransformer(str(base), device="cpu"), folder / "tuned", MADE_FROM)
    sample = RetrievalDataset.read(SAMPLE)
    for name, retriever in (
        ("dense", make_retriever("dense", sample.corpus, load_encoder(base))),
        ("bm25", make_retriever("bm25", sample.corpus)),
    ):
        write_evaluation(
            evaluate(sample, retriever, split="all"), folder / name, {"dataset": str(SAMPLE), "split": "all"}
        )
    return folder


def metadata_of(card):
    from huggingface_hub import ModelCard

    return ModelCard(card, ignore_metadata_errors=False).data


def test_the_card_says_how_it_was_made_and_what_it_retrieves(model):
    pair = f"{model / 'dense'},{model / 'bm25'}"
    card = model_card(model / "tuned", CardOptions(results=(pair,), guards=(pair,), license="apache-2.0"))
    data = metadata_of(card)
    assert (data.base_model, data.license) == ("sentence-transformers/all-MiniLM-L6-v2", "apache-2.0")
    assert data.eval_results[0].metric_type == "ndcg_at_10"
    main = compare(read_evaluation(model / "dense"), read_evaluation(model / "bm25")).main
    assert data.eval_results[0].metric_value == round(main.mean_b, 5)
    shown = f"{main.mean_a:.4f} | {main.mean_b:.4f} | {main.mean:+.4f} (better than the base)"
    assert f"| Own domain | household, all | 24 | {shown}" in card
    assert f"| Guard | household, all | 24 | {shown}" in card
    assert f"| {main.interval[0]:+.4f} … {main.interval[1]:+.4f} |" in card
    assert "household.json, SHA-256 `abc123`; trained on the split train, 14 examples" in card
    assert "base 0.5000, this model 0.6250" in card
    assert "epochs 1, seed 7" in card
    assert "It reads 128 tokens" in card
    assert "by cosine; they have 32 dimensions" in card
    assert "/home/somebody" not in card
    assert str(model) not in card


def test_what_is_not_known_is_said(model):
    card = model_card(model / "tuned", CardOptions())
    assert "No evaluation was given" in card
    assert "whether it retrieves worse elsewhere isn't known" in card
    assert "No licence was named" in card
    assert metadata_of(card).license is None


def test_the_gates_verdict_and_what_was_found_when_it_was_made(model, tmp_path):
    verdict = {
        "measure": "ndcg_at_10",
        "split": "val",
        "gain": {"queries": 9, "base": 0.5, "tuned": 0.625, "mean": 0.125, "interval": [0.05, 0.2]},
        "guards": [
            {"name": "xquad", "queries": 9, "base": 0.8, "tuned": 0.79, "loss": 0.01, "bounds": [-0.002, 0.022]}
        ],
    }
    (tmp_path / "gate.json").write_text(json.dumps(verdict))
    card = model_card(model / "tuned", CardOptions(verdict=tmp_path / "gate.json"))
    assert "- Own domain, val: ndcg_at_10 0.5000 → 0.6250, +0.1250 (+0.0500 … +0.2000)" in card
    assert "- Guard xquad: ndcg_at_10 0.8000 → 0.7900, -0.0100 (-0.0220 … +0.0020)" in card
    assert "No guard collection" not in card
    assert "No evaluation was given" not in card
    manifest = json.loads((model / "tuned" / "embedtune.json").read_text(encoding="utf-8"))
    manifest["made_from"]["why"] = ["val, 9 queries: a gain"]
    (tmp_path / "embedtune.json").write_text(json.dumps(manifest))
    assert "Measured on val when it was made:\n\n- val, 9 queries: a gain" in model_card(tmp_path, CardOptions())
    (tmp_path / "gate.json").write_text("{}")
    with pytest.raises(StorageError, match="isn't a verdict"):
        model_card(tmp_path, CardOptions(verdict=tmp_path / "gate.json"))


def test_chinese_words(model):
    pair = f"{model / 'dense'},{model / 'bm25'}"
    card = model_card(model / "tuned", CardOptions(language="zh", results=(pair,)))
    assert "优于基础模型" in card
    assert "没有给出对照集" in card
    assert "每段文本只读前 128 个词元" in card
    assert "请用余弦相似度比较" in card
    assert metadata_of(card).base_model == "sentence-transformers/all-MiniLM-L6-v2"


def test_other_peoples_readme_stays(model, tmp_path):
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "embedtune.json").write_bytes((model / "tuned" / "embedtune.json").read_bytes())
    write_model_card(tmp_path / "tuned")
    write_model_card(tmp_path / "tuned")
    (tmp_path / "tuned" / "README.md").write_text("mine")
    with pytest.raises(StorageError, match="is there already"):
        write_model_card(tmp_path / "tuned")
    write_model_card(tmp_path / "tuned", overwrite=True)
    with pytest.raises(StorageError, match=r"has no readable embedtune\.json"):
        write_model_card(tmp_path)
    with pytest.raises(OptionsError, match="isn't a pair"):
        write_model_card(tmp_path / "tuned", CardOptions(results=("one",)))


def test_the_command_pushes_only_when_asked_and_never_shows_the_token(model, tmp_path):
    hub, words = WritableHub(), ["card", str(model / "tuned"), "--license", "mit"]
    with hub.running():
        environment = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path), "HF_TOKEN": TOKEN}
        commands = [words, [*words, "--push", "me/tuned"], [*words, "--push", "me/is-full"], [*words, "--push", "a b"]]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(commands)],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    assert TOKEN not in done.stdout + done.stderr
    (_, *quiet), (_, *sent), (_, *refused), (_, *misnamed) = results = json.loads(done.stdout)
    assert [status for status, *_ in results] == [0, 0, 2, 2]
    assert quiet[0] == ""
    assert sent[0].startswith(f"{hub.url}/me/tuned/commit/")
    assert "the Hub didn't take it" in refused[1]
    assert "can't be a model's name on the Hub" in misnamed[1]
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert (hub.commits, hub.private["me/tuned"]) == (1, True)
    there = hub.repos["me/tuned"]
    assert set(there) == {
        str(path.relative_to(model / "tuned")) for path in (model / "tuned").rglob("*") if path.is_file()
    }
    assert there["model.safetensors"] == (model / "tuned" / "model.safetensors").read_bytes()
    assert json.loads(there["embedtune.json"])["made_from"]["dataset"] == "household.json"


def test_without_a_token_or_a_hub_nothing_is_sent(model, monkeypatch):
    from embedtune.export.hub_push import push_folder

    write_model_card(model / "tuned")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(OptionsError, match="no token"):
        push_folder(model / "tuned", "me/tuned")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    with pytest.raises(StorageError, match="nothing was sent: HF_HUB_OFFLINE is set"):
        push_folder(model / "tuned", "me/tuned")
