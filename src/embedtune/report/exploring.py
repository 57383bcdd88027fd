"""Evaluations → the queries that the page's reader can look at, with a cause where one failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from embedtune import progress
from embedtune.data.dataset import Qrels, RetrievalDataset
from embedtune.evaluate.causes import Asked, Cause, CauseFinder
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
    rows = {name: {q: row for row, q in enumerate(one.scores.query_ids)} for name, one in evaluations.items()}
    finders = {name: CauseFinder(dataset.corpus, (kept or {}).get(name)) for name in evaluations}
    queries = []
    with progress.task("look for causes", total=len(first.scores.query_ids)) as looking:
        for query_id in first.scores.query_ids:
            grades = dataset.grades(query_id) if qrels is None else qrels.get(query_id, {})
            relevant = {document_id: grade for document_id, grade in grades.items() if grade > 0}
            rankings = [one.run.document_ids(query_id) for one in evaluations.values()]
            asked = Asked(first.queries[query_id], relevant, dataset.reference_answers.get(query_id) or "")
            queries.append(
                ExploredQuery(
                    query_id,
                    first.queries[query_id],
                    relevant,
                    [float(one.scores.values[measure][rows[name][query_id]]) for name, one in evaluations.items()],
                    rankings,
                    [
                        _causes(finder, dataset, asked, ranking, rankings)
                        for finder, ranking in zip(finders.values(), rankings, strict=True)
                    ],
                )
            )
            looking.advance()
    return Explorer(measure, list(evaluations), queries, dataset.corpus, shown)


def _causes(
    finder: CauseFinder, dataset: RetrievalDataset, asked: Asked, ranking: list[str], rankings: list[list[str]]
) -> tuple[Cause, ...]:
    """Returns the causes of one ranking; what any other system doesn't find is no likely false negative."""
    others = [set(other) for other in rankings if other is not ranking]
    return finder.causes(asked, ranking, set.intersection(*others) if others else None)
