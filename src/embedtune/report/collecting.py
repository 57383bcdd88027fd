"""Folders of earlier commands → the content of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from embedtune import progress
from embedtune.artifact import provenance
from embedtune.data.checks import check_dataset
from embedtune.data.dataset import Qrels, RetrievalDataset
from embedtune.data.json_format import read_qrels
from embedtune.errors import EvaluationError, OptionsError, describe_unknown
from embedtune.evaluate.comparison import CompareOptions, compare
from embedtune.evaluate.evaluation import Evaluation, read_evaluation
from embedtune.evaluate.measures import Measure
from embedtune.evaluate.scores import score_run
from embedtune.report.content import DatasetFacts, GuardResult, ReportContent, SystemCosts
from embedtune.report.decision import decide
from embedtune.report.exploring import explore
from embedtune.report.options import ReportOptions
from embedtune.report.stored import StoredSystem, read_costs, read_curve, read_findings, read_mining, read_system
from embedtune.report.systems import guard_result, system_results

__all__ = ["Guard", "ReportSources", "collect", "dataset_name"]

_EQUAL = 1e-6


class Guard(NamedTuple):
    """A guard's name and the evaluations of base and tuned on it."""

    name: str
    base: Path
    tuned: Path


@dataclass(frozen=True)
class ReportSources:
    """Where everything on the page comes from; `runs` maps systems' names to folders, the first is compared with."""

    dataset: Path
    runs: Mapping[str, Path]
    models: Sequence[Path] = ()
    guards: Sequence[Guard] = ()
    qrels: Path | None = None
    checks: Path | None = None
    mining: Path | None = None
    costs: Path | None = None


def collect(sources: ReportSources, options: ReportOptions | None = None) -> ReportContent:
    """Returns the page's content; raises EmbedtuneError where the sources don't fit together."""
    options = options or ReportOptions()
    compared = CompareOptions(measure=options.measure, resamples=options.resamples, seed=options.seed)
    stored = {name: read_system(folder) for name, folder in sources.runs.items()}
    evaluations = {name: system.evaluation for name, system in stored.items()}
    proposed = _proposed(options.proposed, list(sources.runs))
    dataset = RetrievalDataset.read(sources.dataset)
    qrels = None if sources.qrels is None else read_qrels(sources.qrels)
    for name, evaluation in evaluations.items():
        _refuse_strangers(name, evaluation, dataset, qrels, options.measure)
    made_by = {name: system.made_by for name, system in stored.items()}
    costs = _costs(stored, dataset, {} if sources.costs is None else read_costs(sources.costs))
    systems = system_results(evaluations, compared, costs=costs, made_by=made_by)
    guards = [_guard(guard, compared) for guard in sources.guards]
    facts = _facts(sources, dataset)
    base = next(iter(evaluations))
    kept = {name: reads for name, system in stored.items() if (reads := system.kept()) is not None}
    return ReportContent(
        title=options.title or dataset_name(sources.dataset),
        measure=options.measure,
        queries=len(evaluations[base].scores.query_ids),
        split=str(stored[base].made_from.get("split", "")),
        systems=systems,
        decision=decide(
            evaluations, systems, proposed=proposed, guards=guards, findings=facts.findings or (), options=compared
        ),
        guards=guards,
        curves=[read_curve(folder) for folder in sources.models],
        dataset=facts,
        mining=None if sources.mining is None else read_mining(sources.mining),
        explorer=explore(dataset, evaluations, measure=options.measure, shown=(base, proposed), kept=kept, qrels=qrels),
        made_with=_made_with(),
    )


def _proposed(wanted: str | None, names: Sequence[str]) -> str:
    if not names:
        raise OptionsError("there is no run to report", remedy="name at least one folder that eval --out wrote")
    if wanted is not None and wanted not in names:
        raise OptionsError(describe_unknown("system", wanted, names))
    return wanted or names[-1]


def _refuse_strangers(
    name: str, evaluation: Evaluation, dataset: RetrievalDataset, qrels: Qrels | None, measure: str
) -> None:
    """Raises EvaluationError where a run has other documents, or other judgements gave its scores."""
    found = {document.document_id for ranking in evaluation.run.rankings.values() for document in ranking}
    strange = sorted(document_id for document_id in found if document_id not in dataset.corpus)
    if strange:
        raise EvaluationError(
            f"the run {name!r} found {len(strange):,} documents that the dataset doesn't have, such as {strange[0]!r}",
            remedy="give the dataset that it was made on",
        )
    if measure not in evaluation.scores.values:
        raise OptionsError(describe_unknown("measure", measure, evaluation.scores.values), where=name)
    query_ids = list(evaluation.scores.query_ids)
    judged = dataset.qrels(query_ids) if qrels is None else qrels
    again = score_run(evaluation.run, judged, query_ids, [Measure.parse(measure)])
    change = abs(again.mean(measure) - evaluation.scores.mean(measure))
    if again.query_ids != evaluation.scores.query_ids or change > _EQUAL:
        raise EvaluationError(
            f"the run {name!r} doesn't score by the dataset's judgements what its folder says",
            remedy="give the dataset and the --qrels that it was evaluated with",
        )


def _costs(
    stored: Mapping[str, StoredSystem], dataset: RetrievalDataset, given: Mapping[str, SystemCosts]
) -> dict[str, SystemCosts]:
    """Returns the costs given, and how many documents need new vectors once the first system is in use."""
    unknown = [name for name in given if name not in stored]
    if unknown:
        raise OptionsError(describe_unknown("system", unknown[0], stored), where="--costs")
    base = next(iter(stored.values())).document_key
    costs = {}
    for name, system in stored.items():
        one = given.get(name, SystemCosts())
        if one.documents_to_encode is None:
            there = system.document_key is None or system.document_key == base
            one = replace(one, documents_to_encode=0 if there else len(dataset.corpus))
        costs[name] = one
    return costs


def _guard(guard: Guard, options: CompareOptions) -> GuardResult:
    return guard_result(guard.name, compare(read_evaluation(guard.base), read_evaluation(guard.tuned), options))


def _facts(sources: ReportSources, dataset: RetrievalDataset) -> DatasetFacts:
    if sources.checks is None:
        progress.say("checking the dataset")
        findings = check_dataset(dataset)
    else:
        findings = read_findings(sources.checks)
    splits = {split: len(query_ids) for split, query_ids in dataset.queries_split.items()}
    return DatasetFacts(dataset_name(sources.dataset), len(dataset.corpus), len(dataset.queries), splits, findings)


def dataset_name(dataset: Path) -> str:
    """Returns what a dataset is called: its file's name, or its folder's where that says nothing."""
    path = dataset.resolve()
    return path.parent.name if path.stem == "dataset" else path.stem


def _made_with() -> dict[str, str]:
    made = provenance()
    return {"created": str(made["created"]), **made["versions"]}
