"""Runs filters over a dataset's queries, one after the other, and keeps what they took out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from embedtune import progress
from embedtune.data.checks.finding import snippet
from embedtune.data.dataset import ALL_QUERIES, RetrievalDataset
from embedtune.errors import OptionsError
from embedtune.options import Options
from embedtune.synthesize.adding import RECORD_FIELD
from embedtune.synthesize.filter_rounds import with_round
from embedtune.synthesize.filters import FILTERS
from embedtune.synthesize.material import Drop, FilterModels, Judgement, Material

__all__ = ["DEFAULT_FILTERS", "FilterChoice", "FilterReport", "FilterStep", "filter_queries"]

DEFAULT_FILTERS = ("duplicates", "round-trip")

_EXAMPLES = 3
_MODEL_FLAGS = {
    "encoder": "--encoder",
    "reranker": "--reranker",
    "language_model": "--model and --base-url",
}


class FilterChoice(Options):
    """Which filters run, and over which queries."""

    filters: tuple[str, ...] = Field(
        default=DEFAULT_FILTERS, description=f"Filters in the order to run them; known: {', '.join(FILTERS.names())}."
    )
    split: str = Field(default="train", description="Split whose queries are judged; those of other splits stay.")
    judged: Literal["synthetic", "all"] = Field(
        default="synthetic",
        description="synthetic: only queries that embedtune synth made, if the dataset has any; all: people's too.",
    )


@dataclass(frozen=True)
class FilterStep:
    """What one filter did: how many queries it saw, what it dropped and relabelled, and what it says to that."""

    name: str
    options: Options
    queries: int
    judgement: Judgement

    def codes(self) -> dict[str, int]:
        """Returns reason code → how many queries were dropped for it, the most frequent first."""
        return dict(Counter(drop.code for drop in self.judgement.dropped.values()).most_common())


@dataclass(frozen=True)
class FilterReport:
    """The filtered dataset, which keeps what was dropped, and what each filter did."""

    dataset: RetrievalDataset
    split: str
    before: int
    steps: tuple[FilterStep, ...]
    texts: Mapping[str, str]

    @property
    def dropped(self) -> dict[str, tuple[str, Drop]]:
        """Query id → the filter that dropped it, and why."""
        return {q: (step.name, drop) for step in self.steps for q, drop in step.judgement.dropped.items()}

    def words(self) -> list[str]:
        """Returns the report, a line each, with examples of every reason."""
        left = self.before - len(self.dropped)
        lines = [f"{left:,} of {self.before:,} queries of {self.split!r} are kept"]
        for step in self.steps:
            dropped, changed = len(step.judgement.dropped), len(step.judgement.relabelled)
            did = f"dropped {dropped:,} of {step.queries:,}" + (f", relabelled {changed:,}" if changed else "")
            lines.append(f"{step.name}: {did}")
            lines += [f"  note: {note}" for note in step.judgement.notes]
            for code, count in step.codes().items():
                lines.append(f"  {code} {count:,}")
                found = [(q, drop.reason) for q, drop in step.judgement.dropped.items() if drop.code == code]
                lines += [self._example(query_id, reason) for query_id, reason in found[:_EXAMPLES]]
            changes = list(step.judgement.relabelled.items())[:_EXAMPLES]
            lines += [self._example(query_id, change.reason) for query_id, change in changes]
        return lines

    def _example(self, query_id: str, reason: str) -> str:
        return f"    {query_id!r} {snippet(self.texts[query_id])}: {reason}"

    def to_json(self) -> dict[str, Any]:
        """Returns the counts, and every dropped or relabelled query with its reason."""
        return {
            "split": self.split,
            "queries": {"before": self.before, "kept": self.before - len(self.dropped)},
            "filters": [
                {
                    "name": step.name,
                    "options": step.options.model_dump(),
                    "queries": step.queries,
                    "codes": step.codes(),
                    "notes": list(step.judgement.notes),
                    "dropped": {
                        q: {"query": self.texts[q]} | drop._asdict() for q, drop in step.judgement.dropped.items()
                    },
                    "relabelled": {
                        q: {"query": self.texts[q]} | change._asdict()
                        for q, change in step.judgement.relabelled.items()
                    },
                }
                for step in self.steps
            ],
        }


def filter_queries(
    dataset: RetrievalDataset,
    filters: Mapping[str, Options | None] | None = None,
    *,
    choice: FilterChoice | None = None,
    models: FilterModels | None = None,
) -> FilterReport:
    """Returns the dataset without the queries that any of the filters drops, and why each was dropped.

    `filters` maps a filter's name to its options, in the order to run; None takes those of
    `choice` with their defaults. What is dropped stays in the dataset's records, and
    restore_queries puts it back. Raises OptionsError for an unknown filter, and for a model that
    one needs and that isn't there, before any work.
    """
    choice, models = choice or FilterChoice(), models or FilterModels()
    chosen = _with_options(dict.fromkeys(choice.filters) if filters is None else filters, models)
    query_ids = _judged_queries(dataset, choice)
    material = Material(dataset, query_ids, models)
    steps = tuple(_run(material, chosen))
    dropped = {q: {"filter": s.name} | drop._asdict() for s in steps for q, drop in s.judgement.dropped.items()}
    relabelled = {
        q: {"filter": s.name, "reason": change.reason, "labels": change.relevant_docs}
        for s in steps
        for q, change in s.judgement.relabelled.items()
    }
    record = {step.name: step.options.model_dump() for step in steps}
    filtered = with_round(dataset, record, dropped, relabelled)
    split = choice.split if dataset.queries_split else ALL_QUERIES
    return FilterReport(filtered, split, len(query_ids), steps, {q: dataset.queries[q] for q in query_ids})


def _run(material: Material, filters: Mapping[str, Options]) -> Iterator[FilterStep]:
    """Yields what each filter did, and before them what can't be judged because nothing is relevant to it."""
    bare = [query_id for query_id in material.queries if not material.positives(query_id)]
    if bare:
        judgement = Judgement({query_id: Drop("no-document", "no document is relevant to it") for query_id in bare})
        yield FilterStep("labels", Options(), len(material.queries), judgement)
        material.apply(judgement)
    for name, options in filters.items():
        progress.say(f"filter {name}: {len(material.queries):,} queries")
        judgement = FILTERS.load(name).judge(material, options)
        yield FilterStep(name, options, len(material.queries), judgement)
        material.apply(judgement)


def _judged_queries(dataset: RetrievalDataset, choice: FilterChoice) -> list[str]:
    """Returns the split's queries without those that another split has too, and without people's if asked.

    A dataset without splits has all of its queries judged.
    """
    split = choice.split if dataset.queries_split else ALL_QUERIES
    query_ids = dataset.split_query_ids(split)
    elsewhere = {q for name, ids in dataset.queries_split.items() if name != split for q in ids}
    if split != ALL_QUERIES:
        query_ids = [query_id for query_id in query_ids if query_id not in elsewhere]
    made = (dataset.extra.get(RECORD_FIELD) or {}).get("queries", {})
    return [query_id for query_id in query_ids if query_id in made] if made and choice.judged != "all" else query_ids


def _with_options(filters: Mapping[str, Options | None], models: FilterModels) -> dict[str, Options]:
    """Returns the filters with their options; raises OptionsError where a model is missing that one needs."""
    chosen = {name: options or FILTERS.load(name).OPTIONS() for name, options in filters.items()}
    missing = {
        name: [model for model in FILTERS.load(name).needs(options) if getattr(models, model) is None]
        for name, options in chosen.items()
    }
    lines = [
        f"the filter {name!r} needs {'an' if model[0] in 'aeiou' else 'a'} {model.replace('_', ' ')}"
        for name, needed in missing.items()
        for model in needed
    ]
    if lines:
        flags = ", ".join(dict.fromkeys(_MODEL_FLAGS[model] for needed in missing.values() for model in needed))
        raise OptionsError("\n".join(lines), remedy=f"name it with {flags}, or leave the filter out")
    return chosen
