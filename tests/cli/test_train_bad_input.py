"""What a person gets wrong in embedtune train, and what each mistake says; nothing is ever lost or half written."""

from __future__ import annotations

import json

import pytest
import torch
from sentence_transformers import SentenceTransformer
from tests.conftest import SAMPLE

from embedtune.models.trainable import PaddedTraining
from embedtune.train.step import TrainingStep

QUICK = ("--precision", "float32", "--device", "cpu", "--epochs", 2, "--batch-size", 4, "--learning-rate", 0.003)


@pytest.fixture
def train(embedtune, tiny_model, tmp_path):
    """Runs the verb on a dataset of these fields, or on the sample."""

    def run(*flags, fields=None, encoder=tiny_model):
        data = SAMPLE
        if fields is not None:
            data = tmp_path / "data.json"
            data.write_text(json.dumps(fields, ensure_ascii=False), encoding="utf-8")
        return embedtune("train", "--no-gate", data, "--encoder", encoder, "--out", "m", *QUICK, *flags)

    return run


def refused(done, tmp_path, *words):
    assert done.returncode == 2
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "m").exists()
    assert not list(tmp_path.glob(".m.*"))


def break_at(monkeypatch, number):
    """Lets the vectors of a step be no numbers, as after an overflow; returns the query ids of its batch."""
    call, seen = TrainingStep.__call__, []

    def counted(self, positions, backward):
        seen.append([self.training_set.examples[position].query_id for position in positions])
        if len(seen) == number:
            embed = self.forward_pass.embed
            self.forward_pass.embed = lambda *args: embed(*args) * torch.nan
        return call(self, positions, backward)

    monkeypatch.setattr(TrainingStep, "__call__", counted)
    return seen


def test_a_loss_that_is_no_number_keeps_the_best_weights_and_names_the_batch(train, monkeypatch, tmp_path):
    seen = break_at(monkeypatch, 7)
    done = train("--validations", 8, "--val-split", "train", "--json")
    assert done.returncode == 0, done.stderr
    assert "warning: training broke down at step 7: the loss is nan in the batch of the queries" in done.stderr
    assert all(query_id in done.stderr for query_id in seen[6])
    record = json.loads(done.stdout)
    assert 0 < record["chosen"]["step"] < 7
    assert "are kept" in record["words"][0]
    assert (tmp_path / "m" / "model.safetensors").is_file()
    assert not list(tmp_path.glob(".m.*"))


def test_a_loss_that_is_no_number_at_once(train, monkeypatch, tmp_path):
    seen = break_at(monkeypatch, 1)
    done = train("--val-split", "train")
    refused(done, tmp_path, "the loss is nan at step 1", "nothing was written", "lower --learning-rate", *seen[0])


def test_vectors_that_are_no_numbers_before_the_first_step(train, tiny_model, tmp_path):
    model = SentenceTransformer(str(tiny_model), device="cpu")
    with torch.no_grad():
        next(model.parameters()).mul_(torch.nan)
    model.save_pretrained(str(tmp_path / "broken"), create_model_card=False)
    refused(train(encoder=tmp_path / "broken"), tmp_path, "isn't finite")


def test_no_positives(train, sample_fields, tmp_path):
    sample_fields["relevant_docs"] = {query: [] for query in sample_fields["relevant_docs"]}
    refused(train(fields=sample_fields), tmp_path, "has a relevant document", "nothing to train on")


def test_no_positives_in_val(train, sample_fields, tmp_path):
    for query_id in sample_fields["queries_split"]["val"]:
        sample_fields["relevant_docs"][query_id] = []
    refused(train(fields=sample_fields), tmp_path, "which chooses the checkpoint", "--val-split")


def test_splits_without_queries(train, sample_fields, tmp_path):
    sample_fields["queries_split"]["val"] = []
    refused(train(fields=sample_fields), tmp_path, "the split 'val' has no queries")
    refused(train("--split", "trian", fields=sample_fields), tmp_path, "did you mean 'train'?")
    sample_fields["queries_split"]["train"] = []
    refused(train(fields=sample_fields), tmp_path, "the split 'train' has no queries")


def test_one_document(train, tmp_path):
    queries = {f"q{i}": f"how do I remove scale {i}" for i in range(4)}
    fields = {
        "queries": queries,
        "corpus": {"only": "boil vinegar in the kettle"},
        "relevant_docs": {query: ["only"] for query in queries},
        "queries_split": {"train": ["q0", "q1"], "val": ["q2", "q3"]},
    }
    refused(train(fields=fields), tmp_path, "the corpus has 1 document", "nothing to tell it apart from")


def test_texts_longer_than_the_limit_are_counted(train, sample_fields):
    sample_fields["corpus"]["zh-kettle"] *= 40
    done = train("--epochs", 1, fields=sample_fields)
    assert done.returncode == 0, done.stderr
    assert "0 of 12 queries and 2 of 14 documents are longer than 128 tokens" in done.stderr


def test_what_has_no_gradients(train, tiny_model, tmp_path, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("something was encoded")

    monkeypatch.setattr("embedtune.models.cache.EmbeddingCache.encode", never)
    refused(train("--precision", "int8"), tmp_path, "int8", "no gradients", "--precision bfloat16")
    refused(train(encoder="https://api.example.org/v1"), tmp_path, "behind an address", "--method adapter")
    onnx = tmp_path / "onnx-model"
    (onnx / "onnx").mkdir(parents=True)
    for file in tiny_model.iterdir():
        if file.is_file() and file.suffix == ".json":
            (onnx / file.name).write_bytes(file.read_bytes())
    (onnx / "onnx" / "model.onnx").write_bytes(b"\x08\x08")
    refused(train(encoder=onnx), tmp_path, "model.onnx", "no gradients", "exported from")


def test_options_that_make_no_sense(train, tmp_path):
    refused(train("--loss", "infonec"), tmp_path, "unknown loss 'infonec'; did you mean 'infonce'?")
    refused(train("--matryoshka-dims", "32,64"), tmp_path, "64 can't be a length", "from 1 to 32")
    refused(train("--report-to", "tensorbord"), tmp_path, "did you mean 'tensorboard'?")
    refused(train("--precision", "float16"), tmp_path, "float16 needs a GPU")


def test_losses_whose_data_is_missing(train, sample_fields, tmp_path):
    sample_fields["relevant_docs"] = {query: list(found) for query, found in sample_fields["relevant_docs"].items()}
    refused(
        train("--loss", "cosent", fields=sample_fields),
        tmp_path,
        "the dataset has no scores",
        "pos_scores",
        "--loss infonce",
    )
    for loss in ("margin-mse", "distill-kl"):
        refused(train("--loss", loss), tmp_path, "learns a teacher's scores", "embedtune mine D --encoder E --rerank")


@pytest.mark.slow
def test_memory_that_runs_out_halves_the_micro_batch(train, monkeypatch, tmp_path):
    """A real run whose forward pass can't hold more than five texts at a time."""
    embed, held = PaddedTraining.embed, []

    def small(self, batch, positions=None):
        texts = len(self.lengths(batch)) if positions is None else len(positions)
        if texts > 5:
            raise MemoryError
        held.append(texts)
        return embed(self, batch, positions)

    whole = train("--val-split", "train", "--json", "--forward", "sentence-transformers")
    (tmp_path / "m").rename(tmp_path / "whole")
    monkeypatch.setattr(PaddedTraining, "embed", small)
    done = train("--val-split", "train", "--json", "--forward", "sentence-transformers")
    assert done.returncode == 0, done.stderr
    assert "goes on with --micro-batch-size" in done.stderr
    assert "the batch and its negatives stay the same" in done.stderr
    records = [json.loads(run.stdout) for run in (whole, done)]
    assert records[1]["sizes"]["micro_batch_size"] <= 5 < records[0]["sizes"]["micro_batch_size"]
    assert records[1]["sizes"]["batch_size"] == records[0]["sizes"]["batch_size"]
    for one, other in zip(*(record["checkpoints"] for record in records), strict=True):
        assert other["step"] == one["step"]
        assert one["step"] == 0 or other["loss"] == pytest.approx(one["loss"], rel=1e-3)
    assert max(held) <= 5
