"""How long do all measures of 10,000 queries × 100 results take, beside pytrec_eval?

    python benchmarks/metrics_speed.py

Ours is timed from a Run and qrels as `evaluate` calls it; pytrec_eval with its dictionaries ready,
and with making them of the same run. Writes metrics_speed.json.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytrec_eval

from embedtune.evaluate.measures import DEFAULT_CUTOFFS, Measure
from embedtune.evaluate.scores import score_run
from embedtune.search.run import RowRankings, Run
from measuring import SEED, interleaved, write_result

QUERIES, FOUND, DOCUMENTS = 10_000, 100, 360_000
CUTOFFS = (*DEFAULT_CUTOFFS, 100)
THEIR_NAMES = {"ndcg": "ndcg_cut", "map": "map_cut", "recall": "recall", "precision": "P"}


def judged_run(judgements: int) -> tuple[Run, dict[str, dict[str, float]]]:
    """Returns a run of rows and qrels, half of which were found."""
    generator = np.random.default_rng(SEED)
    query_ids, document_ids = [f"q{i}" for i in range(QUERIES)], [f"d{i}" for i in range(DOCUMENTS)]
    rows = (generator.integers(0, DOCUMENTS, (QUERIES, 1)) + 3571 * np.arange(FOUND)) % DOCUMENTS
    scores = np.tile(np.linspace(1, 0, FOUND, dtype=np.float32), (QUERIES, 1))
    qrels = {}
    for query_id, row in zip(query_ids, rows, strict=True):
        relevant = [*generator.choice(row, -(-judgements // 2)), *generator.integers(0, DOCUMENTS, judgements // 2)]
        qrels[query_id] = {document_ids[i]: 1 for i in relevant}
    return Run(RowRankings(query_ids, document_ids, rows, scores)), qrels


def measured(judgements: int) -> dict[str, Any]:
    """Returns the medians for so many judgements a query; checks that both agree."""
    run, qrels = judged_run(judgements)
    measures = [Measure(name, cutoff) for name in ("ndcg", "map", "recall", "precision", "mrr") for cutoff in CUTOFFS]
    theirs = {f"{THEIR_NAMES[m.name]}_{m.cutoff}" for m in measures if m.name != "mrr"} | {"recip_rank"}
    lists = Run(dict(run.rankings))
    rankings: Any = run.rankings

    def fresh_run() -> Run:
        query_ids = list(rankings)
        return Run(RowRankings(query_ids, rankings.document_ids, rankings.rows, rankings.scores))

    def dictionaries() -> dict[str, dict[str, float]]:
        return {query: {d.document_id: d.score for d in ranking} for query, ranking in lists.rankings.items()}

    ready = dictionaries()
    ours = score_run(run, qrels, measures=measures)
    expected = pytrec_eval.RelevanceEvaluator(qrels, theirs).evaluate(ready)
    for name in ("ndcg", "map"):
        per_query = [expected[query][f"{THEIR_NAMES[name]}_100"] for query in ours.query_ids]
        np.testing.assert_allclose(ours.values[f"{name}_at_100"], per_query, atol=1e-9)
    return interleaved(
        {
            "embedtune, a run of rows": lambda: score_run(fresh_run(), qrels, measures=measures),
            "embedtune, a run of lists": lambda: score_run(lists, qrels, measures=measures),
            "pytrec_eval": lambda: pytrec_eval.RelevanceEvaluator(qrels, theirs).evaluate(ready),
            "pytrec_eval and its dictionaries": lambda: pytrec_eval.RelevanceEvaluator(qrels, theirs).evaluate(
                dictionaries()
            ),
        }
    )


def main() -> None:
    """Measures with 1 and with 20 judgements a query."""
    content = {f"{judgements} judged": measured(judgements) for judgements in (1, 20)}
    write_result(__file__, {"queries": QUERIES, "found": FOUND, "measures": 5 * len(CUTOFFS)} | content)


if __name__ == "__main__":
    main()
