"""A retriever on a split of a dataset: the run, the scores, and the folder that keeps both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embedtune.artifact import Artifact
from embedtune.data.dataset import Qrels, RetrievalDataset
from embedtune.errors import StorageError
from embedtune.evaluate.measures import default_measures
from embedtune.evaluate.scores import Scores, score_run
from embedtune.search.fusion import Retriever
from embedtune.search.run import Run

__all__ = ["EVALUATION", "Evaluation", "evaluate", "read_evaluation", "write_evaluation"]

EVALUATION = "evaluation"
_SCORES_FILE = "scores.json"
_RUN_FILE = "run.trec"


@dataclass(frozen=True)
class Evaluation:
    """One retriever's results: what was asked, what came back, how good it was.

    `judgements` is a hash of the queries' judgements: only equal ones can be compared.
    """

    scores: Scores
    run: Run
    queries: Mapping[str, str]
    judgements: str


def evaluate(
    dataset: RetrievalDataset,
    retriever: Retriever,
    *,
    split: str = "val",
    top_k: int = 10,
    qrels: Qrels | None = None,
) -> Evaluation:
    """Returns the evaluation of a retriever on the queries of a split.

    `qrels` replace the dataset's own judgements, for graded ones kept apart. Measures whose
    cut-off is over `top_k` are left out, because the run can't say.
    """
    query_ids = dataset.split_query_ids(split)
    queries = {query_id: dataset.queries[query_id] for query_id in query_ids}
    judged = dataset.qrels(query_ids)
    if qrels is not None:
        judged = {query_id: dict(qrels.get(query_id, {})) for query_id in query_ids}
    run = retriever.retrieve(queries, top_k)
    measures = [measure for measure in default_measures() if measure.cutoff <= top_k]
    scores = score_run(run, judged, query_ids, measures)
    return Evaluation(scores, run, queries, _hash(judged))


def write_evaluation(
    evaluation: Evaluation,
    folder: Path,
    made_from: Mapping[str, Any],
    *,
    overwrite: bool = False,
    apart: Mapping[str, Any] | None = None,
) -> None:
    """Writes scores.json (means and every query's scores), run.trec and the manifest, whole.

    `apart` are means of groups of queries, kept in scores.json where there are any.
    """
    scores = evaluation.scores
    content = {
        "means": scores.means(),
        "left_out": scores.left_out,
        "judgements": evaluation.judgements,
        "queries": {
            query_id: {
                "text": evaluation.queries[query_id],
                "scores": {measure: float(values[row]) for measure, values in scores.values.items()},
            }
            for row, query_id in enumerate(scores.query_ids)
        },
    } | ({} if apart is None else {"apart": apart})
    with Artifact.create(folder, EVALUATION, made_from, overwrite=overwrite) as temporary:
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        (temporary / _SCORES_FILE).write_text(text, encoding="utf-8")
        (temporary / _RUN_FILE).write_text(evaluation.run.to_trec(folder.name or "embedtune"), encoding="utf-8")


def read_evaluation(folder: Path) -> Evaluation:
    """Returns what write_evaluation wrote; raises StorageError where the folder isn't complete."""
    Artifact.open(folder, EVALUATION)
    try:
        content = json.loads((folder / _SCORES_FILE).read_text(encoding="utf-8"))
        queries = content["queries"]
        values = {
            measure: np.array([query["scores"][measure] for query in queries.values()], dtype=np.float64)
            for measure in content["means"]
        }
        texts = {query_id: query["text"] for query_id, query in queries.items()}
        scores = Scores(tuple(queries), values, tuple(content["left_out"]))
        return Evaluation(scores, Run.read_trec(folder / _RUN_FILE), texts, content["judgements"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{folder} is damaged: {error}", where=str(folder), remedy="run the evaluation again"
        ) from error


def _hash(judged: Qrels) -> str:
    text = json.dumps(judged, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
