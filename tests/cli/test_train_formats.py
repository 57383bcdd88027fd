"""The three layouts of the case study, from a file through import to a tuned model; and a teacher's scores."""

from __future__ import annotations

import csv
import json

import pytest
from tests.conftest import SAMPLE

QUICK = ("--precision", "float32", "--device", "cpu", "--epochs", 3, "--batch-size", 4, "--learning-rate", 0.003)


@pytest.fixture
def judged(sample):
    """Rows (split, query, relevant document, documents that aren't relevant), English and Chinese."""
    rows = []
    for split in ("train", "val"):
        for query_id in sample.queries_split[split]:
            relevant = sample.positives(query_id)
            others = [text for document_id, text in sample.corpus.items() if document_id not in relevant]
            rows += [(split, sample.queries[query_id], sample.corpus[d], others[:3]) for d in relevant]
    return rows


def write_table(path, columns, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def trained(embedtune, tiny_model, tmp_path, *flags):
    """Returns the record of a training on data.json, after looking at the loss that it logged."""
    done = embedtune("train", "--no-gate", "data.json", "--encoder", tiny_model, "--out", "m", *QUICK, *flags, "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "m" / "training.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    third = len(losses) // 3
    assert sum(losses[-third:]) < sum(losses[:third]), "what is learnt gets less wrong"
    assert (tmp_path / "m" / "learning_curve.svg").read_text(encoding="utf-8").startswith("<svg")
    return json.loads(done.stdout)


def test_pairs(embedtune, tiny_model, tmp_path, judged):
    write_table(tmp_path / "pairs.csv", ["query", "document", "split"], [(q, d, s) for s, q, d, _ in judged])
    imported = embedtune("import", "pairs", "pairs.csv", "--split-column", "split", "--out", "data.json")
    assert imported.returncode == 0, imported.stderr
    record = trained(embedtune, tiny_model, tmp_path)
    assert record["examples"] == sum(split == "train" for split, *_ in judged)
    assert record["options"]["loss"] == "infonce"


@pytest.mark.slow
def test_pairs_with_hard_negatives_and_a_teachers_scores(embedtune, tiny_model, tmp_path, judged):
    """FlagEmbedding's layout; the same file for contrastive learning and for distillation."""
    (tmp_path / "rows").mkdir()
    for split in ("train", "val"):
        rows = [
            {"query": q, "pos": [d], "neg": negatives, "pos_scores": [6.5], "neg_scores": [-1.0, 0.5, -4.0]}
            for s, q, d, negatives in judged
            if s == split
        ]
        write_lines(tmp_path / "rows" / f"{split}.jsonl", rows)
    imported = embedtune("import", "flagembedding", "rows", "--out", "data.json")
    assert imported.returncode == 0, imported.stderr
    trained(embedtune, tiny_model, tmp_path, "--negatives", 3, "--micro-batch-size", 4)
    for loss in ("gist", "margin-mse", "distill-kl"):
        record = trained(embedtune, tiny_model, tmp_path, "--loss", loss, "--overwrite", "--matryoshka-dims", "32,16")
        assert record["options"]["loss"] == loss
        assert record["options"]["matryoshka_dims"] == [32, 16]


def test_scored_pairs(embedtune, tiny_model, tmp_path, judged):
    (tmp_path / "rows").mkdir()
    for split in ("train", "val"):
        rows = [(q, d, 0.9) for s, q, d, _ in judged if s == split]
        rows += [
            (q, other, 0.1 * place) for s, q, _, others in judged if s == split for place, other in enumerate(others)
        ]
        write_table(tmp_path / "rows" / f"{split}.csv", ["sentence1", "sentence2", "score"], rows)
    imported = embedtune("import", "sentence-transformers", "rows", "--out", "data.json")
    assert imported.returncode == 0, imported.stderr
    scores = json.loads((tmp_path / "data.json").read_text(encoding="utf-8"))["scores"]
    assert sorted({value for found in scores.values() for value in found.values()}) == [0, 0.1, 0.2, 0.9]
    trained(embedtune, tiny_model, tmp_path, "--loss", "cosent", "--batch-size", 16, "--epochs", 6)


def test_a_teacher_that_mine_asks(embedtune, tiny_model, tiny_reranker, tmp_path):
    mined = embedtune(
        *("mine", SAMPLE, "--encoder", tiny_model, "--precision", "float32", "--rerank", tiny_reranker),
        *("--out", "data.json", "--negatives", 4, "--strategy", "rank-window", "--depth", 12),
    )
    assert mined.returncode == 0, mined.stderr
    record = trained(embedtune, tiny_model, tmp_path, "--loss", "distill-kl", "--infonce-weight", 0.1)
    assert record["options"]["infonce_weight"] == 0.1
    assert record["chosen"]["score"] >= record["checkpoints"][0]["score"]
