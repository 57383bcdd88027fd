"""Evaluations → the queries that the page's reader can look at, with a cause where one failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from embedtune import progress
from embedtune.data.dataset import Qrels, RetrievalDataset
from embedtune.evaluate.causes import Asked, CauseFinder
from embedtune.evaluate.evaluation import Evaluation
from embedtune.report.content import ExploredQuery, Explorer

__all__ = ["explore"]

Kept = Callable[[str], str]
"""Returns the part of a document that an encoder reads."""


def explore(
    dataset: RetrievalDataset,
    evaluations: Mapping[str, Evaluation],
    *,
    measure: str,
    shown: tuple[str, str],
    kept: Mapping[str, Kept] | None = None,
    qrels: Qrels | None = None,
) -> Explorer:
    """Returns every scored query under every system; the page opens with the two in `shown`.

    `kept` says of a system what its encoder reads of a document, so that a cut can be named as the
    cause. `qrels` replace the dataset's own judgements, as in evaluate.
    """
    first = next(iter(evaluations.values()))
    systems = [
        _System(one, measure, CauseFinder(dataset.corpus, (kept or {}).get(name))) for name, one in evaluations.items()
    ]
    queries = []
    with progress.task("look for causes", total=len(first.scores.query_ids)) as looking:
        for query_id in first.scores.query_ids:
            grades = dataset.grades(query_id) if qrels is None else qrels.get(query_id, {})
            relevant = {document_id: grade for document_id, grade in grades.items() if grade > 0}
            asked = Asked(first.queries[query_id], relevant, dataset.reference_answers.get(query_id) or "")
            queries.append(_explored(query_id, asked, relevant, systems))
            looking.advance()
    return Explorer(measure, list(evaluations), queries, dataset.corpus, shown)


class _System:
    """One evaluation, its scores by query id, and what finds its causes."""

    def __init__(self, evaluation: Evaluation, measure: str, finder: CauseFinder) -> None:
        scores = evaluation.scores
        self.score = dict(zip(scores.query_ids, scores.values[measure].tolist(), strict=True))
        self.run = evaluation.run
        self.finder = finder


def _explored(query_id: str, asked: Asked, relevant: Mapping[str, float], systems: Sequence[_System]) -> ExploredQuery:
    """Returns a query under every system; what another system doesn't find is no likely false negative."""
    rankings = [system.run.document_ids(query_id) for system in systems]
    causes = []
    for place, system in enumerate(systems):
        others = [set(ranking) for other, ranking in enumerate(rankings) if other != place]
        causes.append(system.finder.causes(asked, rankings[place], set.intersection(*others) if others else None))
    scores = [system.score[query_id] for system in systems]
    return ExploredQuery(query_id, asked.text, relevant, scores, rankings, causes)
