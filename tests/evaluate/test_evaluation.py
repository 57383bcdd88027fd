from __future__ import annotations

import pytest

from embedtune.errors import StorageError
from embedtune.evaluate.evaluation import evaluate, read_evaluation, write_evaluation
from embedtune.search.bm25 import BM25Retriever
from embedtune.search.run import Run


@pytest.fixture
def evaluation(sample):
    return evaluate(sample, BM25Retriever(sample.corpus), split="test")


def test_reads_back_the_same(evaluation, tmp_path):
    write_evaluation(evaluation, tmp_path / "e", {"why": "test"})
    again = read_evaluation(tmp_path / "e")
    assert again.scores.query_ids == evaluation.scores.query_ids
    for measure, values in evaluation.scores.values.items():
        assert (again.scores.values[measure] == values).all()
    assert again.run == evaluation.run
    assert again.queries == evaluation.queries
    assert again.judgements == evaluation.judgements


def test_damaged_folder_is_named(evaluation, tmp_path):
    write_evaluation(evaluation, tmp_path / "e", {})
    (tmp_path / "e" / "scores.json").write_text("{")
    with pytest.raises(StorageError, match="is damaged"):
        read_evaluation(tmp_path / "e")


def test_graded_judgements_can_be_brought_along(sample):
    class Fixed:
        name = "fixed"

        def retrieve(self, queries, top_k):
            return Run.from_scores({query_id: {"en-tea": 2, "zh-tea": 1} for query_id in queries})

    plain = evaluate(sample, Fixed(), split="test")
    graded = evaluate(sample, Fixed(), split="test", qrels={"q19": {"zh-tea": 3, "en-tea": 1}})
    assert graded.scores.query_ids == ("q19",)
    assert len(graded.scores.left_out) == len(plain.scores.query_ids) - 1
    assert graded.scores.mean("recall_at_10") == 1
    assert graded.judgements != plain.judgements


def test_measures_deeper_than_the_search_are_left_out(sample):
    shallow = evaluate(sample, BM25Retriever(sample.corpus), split="test", top_k=3)
    assert "ndcg_at_3" in shallow.scores.values
    assert "ndcg_at_5" not in shallow.scores.values
