"""The adapter and NUDGE through the command line: what comes out, and every mistake."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Router
from tests.conftest import SAMPLE

from embedtune.models.vector_map import linear_module

FLOAT32 = ("--precision", "float32")


@pytest.fixture
def changed(tmp_path, sample_fields):
    """Writes the sample with other fields and returns its path."""

    def write(**changes):
        path = tmp_path / "changed.json"
        path.write_text(json.dumps(sample_fields | changes, ensure_ascii=False), encoding="utf-8")
        return path

    return write


@pytest.fixture
def within(changed, sample_fields):
    """Every document has a second query, kept for val or test."""
    queries = sample_fields["queries"] | {f"{i}?": f"{text}，怎么办" for i, text in sample_fields["queries"].items()}
    relevant = sample_fields["relevant_docs"]
    again = {f"{i}?": docs for i, docs in relevant.items()}
    asked = list(again)
    splits = {"train": list(relevant), "val": asked[::2], "test": asked[1::2]}
    return changed(queries=queries, relevant_docs=relevant | again, queries_split=splits)


@pytest.fixture
def refused(embedtune, tmp_path):
    """Runs train with a mistake in it and returns the message."""

    def run(*words):
        before = set(tmp_path.iterdir())
        done = embedtune("train", "--no-gate", *words, "--out", "m", *FLOAT32)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
        assert {path.name for path in set(tmp_path.iterdir()) - before} <= {"default-cache"}
        return done.stderr

    return run


@pytest.mark.parametrize("variant", ["n", "m"])
def test_nudge_moves_documents_and_eval_sees_them(embedtune, within, tiny_model, variant):
    words = ("--method", "nudge", "--variant", variant, "--out", "m", *FLOAT32)
    done = embedtune("train", "--no-gate", within, "--encoder", tiny_model, *words, "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["gamma"] > 0
    assert record["chosen"]["score"] > record["checkpoints"][0]["score"]
    assert record["encoded"]["documents"] == 24
    told = " ".join(record["words"])
    assert "12 of 12 val queries (100%) are about documents that have training queries" in told
    assert "24 of 24 documents moved" in told
    assert ("never by cosine" in told) == (variant == "m")
    evaluated = embedtune("eval", within, "--encoder", "m", *FLOAT32, "--out", "e")
    assert json.loads(evaluated.stdout)["precision_at_1"] == round(record["chosen"]["score"], 5)
    assert "documents moved: 12 queries: ndcg_at_10" in evaluated.stderr
    assert "the rest: 0 queries" in evaluated.stderr


def test_nudge_says_why_nothing_moves(embedtune, refused, tiny_model):
    """One query a document: what val asks about can't have moved."""
    message = refused(SAMPLE, "--encoder", tiny_model, "--method", "nudge")
    assert "0 of 4 val queries (0%) are about documents that have training queries" in message
    assert "split --by within-document" in message
    assert "--allow-low-coverage" in message
    words = ("--method", "nudge", "--allow-low-coverage", "--out", "m", *FLOAT32)
    done = embedtune("train", "--no-gate", SAMPLE, "--encoder", tiny_model, *words)
    assert done.returncode == 0, done.stderr
    assert "gamma is 0, no document moved: a document moves only if it has training queries" in done.stdout
    assert "0 is the right answer" in done.stdout
    assert "split --by within-document" in done.stdout
    scores = [embedtune("eval", SAMPLE, "--encoder", model, *FLOAT32).stdout for model in ("m", tiny_model)]
    assert scores[0] == scores[1]


def test_nudge_by_any_measure_on_top_of_an_adapter(embedtune, within, tiny_model):
    first = ("--method", "adapter", "--epochs", 5, "--batch-size", 8, "--learning-rate", 0.01, "--out", "a", *FLOAT32)
    assert embedtune("train", "--no-gate", within, "--encoder", tiny_model, *first).returncode == 0
    words = ("--method", "nudge", "--val-measure", "ndcg_at_10", "--out", "m", *FLOAT32, "--json")
    done = embedtune("train", "--no-gate", within, "--encoder", "a", *words)
    record = json.loads(done.stdout)
    assert record["encoded"] == {"documents": 0, "queries": 0}
    assert record["chosen"]["score"] > record["checkpoints"][0]["score"]
    evaluated = embedtune("eval", within, "--encoder", "m", *FLOAT32)
    assert json.loads(evaluated.stdout)["ndcg_at_10"] == round(record["chosen"]["score"], 5)
    assert "encoded 0 texts" in evaluated.stderr


def test_a_changed_text_is_noticed(embedtune, within, tiny_model, tmp_path):
    embedtune("train", "--no-gate", within, "--encoder", tiny_model, "--method", "nudge", "--out", "m", *FLOAT32)
    fields = json.loads(within.read_text(encoding="utf-8"))
    first = next(iter(fields["corpus"]))
    fields["corpus"][first] += " edited"
    (tmp_path / "edited.json").write_text(json.dumps(fields), encoding="utf-8")
    said = embedtune("eval", "edited.json", "--encoder", "m", *FLOAT32).stderr
    assert "the texts of 1 of 24 moved documents have changed since" in said


def test_ids_that_do_not_match(embedtune, within, tiny_model, tmp_path):
    embedtune("train", "--no-gate", within, "--encoder", tiny_model, "--method", "nudge", "--out", "m", *FLOAT32)
    table = tmp_path / "m" / "document_vectors" / "vectors.parquet"
    table.write_bytes(table.read_bytes()[:-100])
    done = embedtune("eval", within, "--encoder", "m", *FLOAT32, "--out", "e")
    assert done.returncode == 2
    assert "the moved documents are damaged" in done.stderr
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize("method", ["adapter", "nudge"])
def test_splits_that_teach_nothing(refused, changed, sample_fields, tiny_model, method):
    words = ("--encoder", tiny_model, "--method", method)
    splits = sample_fields["queries_split"]
    assert "the split 'val' has no queries" in refused(changed(queries_split=splits | {"val": []}), *words)
    judged = {i: docs for i, docs in sample_fields["relevant_docs"].items() if i not in splits["val"]}
    message = refused(changed(relevant_docs=judged), *words)
    assert "no query of the split 'val', which chooses the checkpoint, has a relevant document" in message
    message = refused(changed(queries_split={"train": splits["train"], "test": splits["val"]}), *words)
    assert "the dataset has no split 'val', which chooses the checkpoint (known: test, train)" in message
    assert "--val-split" in message
    assert "warning" not in message
    one = changed(queries_split=splits | {"train": splits["train"][:1]})
    assert "has 1 query with a relevant document" in refused(one, *words)


@pytest.mark.parametrize("method", ["adapter", "nudge"])
@pytest.mark.parametrize(("factor", "words"), [(float("nan"), "isn't finite"), (0.0, "is zero in every place")])
def test_vectors_that_are_none(refused, tiny_model, tmp_path, method, factor, words):
    model = SentenceTransformer(str(tiny_model), device="cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(factor)
    model.save_pretrained(str(tmp_path / "broken"), create_model_card=False)
    assert words in refused(SAMPLE, "--encoder", "broken", "--method", method)


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ([linear_module(torch.zeros(16, 16))], "for vectors of 16 dimensions, the model's have 32"),
        ([linear_module(torch.zeros(16, 32))], "turns 32 dimensions into 16"),
        ([linear_module(torch.zeros(40, 32)), linear_module(torch.zeros(32, 44))], "one takes 44 dimensions"),
        ([linear_module(torch.zeros(32, 32), source="other")], "of 'other'"),
        ([linear_module(torch.full((32, 32), torch.nan))], "holds NaN or infinite weights"),
    ],
)
def test_a_map_that_does_not_fit(embedtune, tiny_model, tmp_path, modules, words):
    model = SentenceTransformer(str(tiny_model), device="cpu")
    routes = {"query": [Normalize(), *modules, Normalize()], "document": []}
    model.append(Router(routes, default_route="document", allow_empty_key=False))
    model.save_pretrained(str(tmp_path / "odd"), create_model_card=False)
    done = embedtune("eval", SAMPLE, "--encoder", "odd", *FLOAT32, "--out", "e")
    assert done.returncode == 2
    assert words in done.stderr
    assert not (tmp_path / "e").exists()


def test_moved_documents_that_do_not_fit(embedtune, within, tiny_model, tmp_path):
    embedtune("train", "--no-gate", within, "--encoder", tiny_model, "--method", "nudge", "--out", "m", *FLOAT32)
    path = tmp_path / "m" / "document_vectors" / "vectors.parquet"
    table, about = pq.read_table(path), json.loads(pq.read_schema(path).metadata[b"embedtune"])
    vectors = np.array(table["vector"].to_pylist(), dtype=np.float32)

    def message(changed):
        column = pa.FixedSizeListArray.from_arrays(pa.array(changed.ravel()), changed.shape[1])
        metadata = {b"embedtune": json.dumps(about | {"dim": changed.shape[1]})}
        pq.write_table(table.set_column(1, "vector", column).replace_schema_metadata(metadata), path)
        done = embedtune("eval", within, "--encoder", "m", *FLOAT32, "--out", "e")
        assert done.returncode == 2
        assert not (tmp_path / "e").exists()
        return done.stderr

    assert "the moved documents have 16 dimensions, the model's vectors 32" in message(vectors[:, :16])
    first = np.arange(len(vectors))[:, None] == 0
    assert "zero in every place" in message(np.where(first, 0, vectors))
    assert "NaN or infinite" in message(np.where(first, np.float32("nan"), vectors))
    path.unlink()
    done = embedtune("eval", within, "--encoder", "m", *FLOAT32, "--out", "e")
    assert done.returncode == 2
    assert "the moved documents are damaged" in done.stderr


def test_methods_on_what_they_made(embedtune, refused, within, tiny_model):
    embedtune("train", "--no-gate", within, "--encoder", tiny_model, "--method", "nudge", "--out", "n", *FLOAT32)
    for method in ("nudge", "adapter", "full"):
        message = refused(within, "--encoder", "n", "--method", method)
        assert "name the model that it was made from" in message


def test_variant_m_knows_one_measure(refused, tiny_model):
    words = ("--method", "nudge", "--variant", "m", "--val-measure", "ndcg_at_10")
    assert "by precision_at_1" in refused(SAMPLE, "--encoder", tiny_model, *words)
    assert "did you mean 'm'" in refused(SAMPLE, "--encoder", tiny_model, "--method", "nudge", "--variant", "mm")
    assert "hidden" in refused(SAMPLE, "--encoder", tiny_model, "--method", "adapter", "--shape", "hiden")
