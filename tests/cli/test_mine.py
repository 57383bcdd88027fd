from __future__ import annotations

import json

import pytest

from embedtune.data.dataset import RetrievalDataset


@pytest.fixture
def mine(embedtune, sample, tiny_model, tmp_path):
    sample.write(tmp_path / "d.json")

    def run(*words):
        return embedtune("mine", "d.json", "--encoder", tiny_model, "--precision", "float32", *words)

    return run


def test_writes_a_dataset_and_a_report(mine, sample, tmp_path):
    rule = ("--strategy", "rank-window", "--negatives", 3)
    done = mine("--out", "mined.json", *rule, "--json", "--diagnose")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    mined = RetrievalDataset.read(tmp_path / "mined.json")
    train = sample.queries_split["train"]
    assert said["mined"]["queries"] == len(train) == len(mined.negative_docs)
    assert said["mined"]["negatives"] == sum(map(len, mined.negative_docs.values()))
    assert sum(row["negatives"] for row in said["mined"]["ranks"]) == said["mined"]["negatives"]
    assert len(said["mined"]["samples"]) == min(20, sum(map(bool, mined.negative_docs.values())))
    assert said["options"]["from"] == 0
    assert said["mined"]["negatives"] == 3 * len(train)
    assert said["diagnosis"]["queries"] == len(train)
    again = mine("--out", "again.json", *rule)
    assert "encoded 0 texts" in again.stderr
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "mined.json").read_bytes()


def test_the_terminal_shows_histograms_and_samples_to_read(mine):
    done = mine("--out", "mined", "--strategy", "rank-window", "--from", 2, "--to", 9, "--sample", 4)
    assert done.returncode == 0, done.stderr
    assert "dropped: known positive" in done.stdout
    assert "####" in done.stdout
    assert done.stdout.count("  negative ") >= 5
    assert "怎么办" in done.stdout


def test_the_dataset_stays_as_it_is_and_so_does_what_is_there(mine, tmp_path):
    before = (tmp_path / "d.json").read_bytes()
    for words, problem in (
        (("--out", "d.json"), "is the dataset itself"),
        ((), "nothing to do"),
        (("--out", "m.json", "--strategy", "hardest"), "unknown value for option 'strategy'"),
        (("--out", "m.json", "--from", 50), "no rank lies between"),
        (("--out", "m.json", "--relabel"), "needs a teacher"),
        (("--out", "m.json", "--judge", "--rerank", "x"), "two teachers"),
        (("--out", "m.json", "--judge"), "no language model was named"),
        (("--out", "m.json", "--rerank", "nowhere/at/all"), "there is no folder"),
        (("--out", "m.json", "--split", "trian"), "did you mean 'train'"),
    ):
        done = mine(*words)
        assert done.returncode == 2, words
        assert problem in done.stderr, words
    assert (tmp_path / "d.json").read_bytes() == before
    assert not (tmp_path / "m.json").exists()
    mine("--out", "m.json")
    assert "exists already" in mine("--out", "m.json").stderr


def test_a_cross_encoder_reads_and_its_scores_are_kept(mine, tiny_reranker, tmp_path):
    done = mine("--out", "m.json", "--rerank", tiny_reranker, "--strategy", "rank-window", "--relabel")
    assert done.returncode == 0, done.stderr
    assert "the teacher read" in done.stdout
    kept = RetrievalDataset.read(tmp_path / "m.json").extra["teacher_scores"]
    assert all(isinstance(score, float) for scores in kept.values() for score in scores.values())


def test_diagnoses_the_negatives_that_are_there(mine, sample, tmp_path, tiny_encoder):
    nearest = {}
    for query_id in sample.queries_split["train"]:
        vectors = tiny_encoder.encode(list(sample.corpus.values()), "document")
        scores = vectors @ tiny_encoder.encode([sample.queries[query_id]], "query")[0]
        best = [list(sample.corpus)[i] for i in scores.argsort()[::-1]]
        nearest[query_id] = [d for d in best if d not in sample.positives(query_id)][:2]
    fields = sample.to_fields() | {"negative_docs": nearest}
    (tmp_path / "d.json").write_text(json.dumps(fields, ensure_ascii=False), encoding="utf-8")
    done = mine("--diagnose")
    assert done.returncode == 0, done.stderr
    assert "warning: " in done.stdout
    assert "negative '" in done.stdout
