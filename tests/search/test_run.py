from __future__ import annotations

import numpy as np
import pytest

from embedtune.errors import DataError
from embedtune.search.run import RankedDocument, RowRankings, Run, rank, rank_top


def test_order_is_score_then_id_backwards():
    ranking = rank({"a": 1.0, "c": 2.0, "b": 2.0, "九": 2.0})
    assert [document.document_id for document in ranking] == ["九", "c", "b", "a"]


def test_scores_that_differ_less_than_float32_are_ties():
    ranking = rank({"a": 1.0 + 1e-12, "b": 1.0})
    assert [document.document_id for document in ranking] == ["b", "a"]
    assert ranking[0].score == ranking[1].score


def test_ties_at_the_border_are_settled_by_id():
    scores = np.array([0.5, 0.9, 0.5, 0.5, 0.1], dtype=np.float32)
    assert [d.document_id for d in rank_top(scores, ["a", "b", "c", "d", "e"], 3)] == ["b", "d", "c"]
    assert [d.document_id for d in rank_top(scores, ["a", "b", "c", "d", "e"], 9, above=0.4)] == ["b", "d", "c", "a"]


def test_trec_file_reads_back_the_same(tmp_path):
    run = Run.from_scores({"q 1": {"doc one": 0.1, "文档": 0.30000001}, "q2": {"x": -1e-7}})
    path = tmp_path / "run.trec"
    path.write_text(run.to_trec("tag"), encoding="utf-8")
    assert Run.read_trec(path) == run
    assert path.read_text(encoding="utf-8").startswith("q 1 Q0 文档 1 0.3")


def test_broken_line_is_named(tmp_path):
    path = tmp_path / "run.trec"
    path.write_text("q Q0 d 1 0.5 tag\nnonsense\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"run\.trec:2"):
        Run.read_trec(path)


def test_missing_query_has_no_documents():
    assert Run({}).document_ids("q") == []


def rows_and_lists(documents=30, queries=12, found=7):
    """The same run as arrays of rows and as lists."""
    generator = np.random.default_rng(4)
    rows = np.stack([generator.permutation(documents)[:found] for _ in range(queries)])
    scores = -np.sort(-generator.random((queries, found)).astype(np.float32))
    query_ids, document_ids = [f"问{i}" for i in range(queries)], [f"文{i}" for i in range(documents)]
    run = Run(RowRankings(query_ids, document_ids, rows, scores))
    lists = {
        query_id: [RankedDocument(document_ids[i], float(s)) for i, s in zip(row, score, strict=True)]
        for query_id, row, score in zip(query_ids, rows, scores, strict=True)
    }
    return run, Run(lists)


def test_a_run_of_rows_is_the_run_of_lists(tmp_path):
    run, lists = rows_and_lists()
    assert run == lists
    assert lists == run
    assert run.document_ids("问3") == lists.document_ids("问3")
    assert run.document_ids("unknown") == []
    assert run.to_trec("tag") == lists.to_trec("tag")
    path = tmp_path / "run.trec"
    path.write_text(run.to_trec("tag"), encoding="utf-8")
    assert Run.read_trec(path) == run
