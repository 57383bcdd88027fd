from __future__ import annotations

import math
import random

import numpy as np
import pytest
import pytrec_eval

from embedtune.errors import EvaluationError, OptionsError
from embedtune.evaluate.measures import Measure, default_measures
from embedtune.evaluate.scores import score_run
from embedtune.search.run import RowRankings, Run

TREC_NAMES = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "precision": "P"}


def one(measure, ranked, grades):
    run = Run.from_scores({"q": {document: -place for place, document in enumerate(ranked)}})
    return score_run(run, {"q": grades}, measures=[Measure.parse(measure)]).mean(measure)


def test_values_by_hand():
    grades = {"a": 3, "b": 1, "c": 1, "no": 0, "worse": -1}
    ranked = ["no", "a", "x", "b", "worse"]
    dcg = 3 / math.log2(3) + 1 / math.log2(5)
    ideal = 3 / 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert one("ndcg_at_5", ranked, grades) == pytest.approx(dcg / ideal, abs=1e-12)
    assert one("ndcg_at_1", ranked, grades) == 0
    assert one("map_at_5", ranked, grades) == pytest.approx((1 / 2 + 2 / 4) / 3)
    assert one("recall_at_3", ranked, grades) == pytest.approx(1 / 3)
    assert one("precision_at_10", ranked, grades) == pytest.approx(2 / 10)
    assert one("mrr_at_10", ranked, grades) == pytest.approx(1 / 2)
    assert one("mrr_at_1", ranked, grades) == 0
    assert one("recall_at_10", [], grades) == 0


def random_case(seed):
    """Graded qrels with ties in the scores, queries without hits, and lists of all lengths."""
    generator = random.Random(seed)
    documents = [f"d{i}" for i in range(40)]
    qrels = {
        f"q{i}": {d: generator.choice([-1, 0, 0, 1, 1, 2, 3]) for d in generator.sample(documents, 12)} | {"d0": 1}
        for i in range(50)
    }
    run = {
        query: {
            d: generator.choice([0.1, 0.25, 0.5, generator.random()])
            for d in generator.sample(documents, generator.randint(1, 40))
        }
        for query in qrels
    }
    return qrels, run


@pytest.mark.parametrize("seed", range(20))
def test_equals_trec_eval_per_query(seed):
    qrels, scores = random_case(seed)
    run = Run.from_scores(scores)
    ours = score_run(run, qrels)
    names = {f"{TREC_NAMES[m.name]}_{m.cutoff}" for m in default_measures() if m.name != "mrr"}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, names | {"recip_rank"}).evaluate(scores)
    for measure in default_measures():
        for row, query in enumerate(ours.query_ids):
            value = ours.values[str(measure)][row]
            if measure.name == "mrr":
                reciprocal = theirs[query]["recip_rank"]
                expected = reciprocal if reciprocal >= 1 / measure.cutoff - 1e-9 else 0
            else:
                expected = theirs[query][f"{TREC_NAMES[measure.name]}_{measure.cutoff}"]
            assert value == pytest.approx(expected, abs=1e-9), (measure, query)


def test_queries_left_out_and_queries_missing():
    qrels = {"judged": {"a": 1}, "missing": {"a": 1}, "empty": {}, "only zeros": {"a": 0}}
    scores = score_run(Run.from_scores({"judged": {"a": 1}, "empty": {"a": 1}}), qrels, [*qrels, "unknown"])
    assert scores.query_ids == ("judged", "missing")
    assert scores.left_out == ("empty", "only zeros", "unknown")
    np.testing.assert_array_equal(scores.values["recall_at_10"], [1, 0])
    assert scores.mean("ndcg_at_10") == 0.5
    with pytest.raises(EvaluationError, match="none of the 1 queries"):
        score_run(Run({}), qrels, ["empty"])


def test_names():
    assert [str(measure) for measure in default_measures()][:5] == [
        "ndcg_at_1",
        "ndcg_at_3",
        "ndcg_at_5",
        "ndcg_at_10",
        "map_at_1",
    ]
    assert Measure.parse("recall_at_100") == Measure("recall", 100)
    for wrong in ("ndgc_at_10", "ndcg@10", "ndcg_at_0"):
        with pytest.raises(OptionsError, match=r"did you mean 'ndcg_at_"):
            Measure.parse(wrong)


def test_means_have_five_decimals():
    run = Run.from_scores({"q": {"x": 2, "y": 1.5, "a": 1}})
    assert score_run(run, {"q": {"a": 1}}).means()["mrr_at_10"] == 0.33333


def test_a_run_of_rows_scores_as_the_run_of_lists():
    """Both ways to the gains agree: queries out of order, missing, with documents that the corpus lacks."""
    generator = np.random.default_rng(0)
    documents = [f"d{i}" for i in range(60)]
    rows = np.stack([generator.permutation(60)[:20] for _ in range(40)])
    scores = -np.sort(-generator.random((40, 20)).astype(np.float32))
    run = Run(RowRankings([f"q{i}" for i in range(40)], documents, rows, scores))
    qrels = {
        f"q{i}": {f"d{j}": int(generator.integers(-1, 4)) for j in generator.permutation(70)[:25]} | {"d0": 1}
        for i in generator.permutation(45)
    }
    measures = [*default_measures(), Measure("ndcg", 30), Measure("map", 20)]
    ours, lists = score_run(run, qrels, measures=measures), score_run(Run(dict(run.rankings)), qrels, measures=measures)
    assert ours.query_ids == lists.query_ids
    assert {m: v.tolist() for m, v in ours.values.items()} == {m: v.tolist() for m, v in lists.values.items()}
    assert 0 < ours.mean("ndcg_at_30") < 1
