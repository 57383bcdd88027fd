"""How much there is to do in a step that isn't done: sizes of datasets to come, texts to encode, examples to train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from embedtune.data.dataset import RetrievalDataset
from embedtune.pipeline.recipe import RecipeStep

__all__ = ["WEIGHTS_STAY", "DataAhead", "Texts", "WorkAhead", "data_after", "option", "work_ahead"]

_ALL = "all"
WEIGHTS_STAY = frozenset({"adapter", "nudge"})
"""Methods that leave the model's weights alone."""


@dataclass(frozen=True)
class DataAhead:
    """How large a dataset is, or will be by the options of the steps that make it.

    `texts` holds the same documents, and the queries that are divided; `asked` is split → queries.
    """

    texts: RetrievalDataset
    asked: Mapping[str, int]
    negatives: int = 0

    @classmethod
    def of(cls, dataset: RetrievalDataset) -> DataAhead:
        """Returns the sizes of a dataset that is there."""
        asked = {split: len(ids) for split, ids in dataset.queries_split.items()}
        return cls(dataset, asked, max(map(len, dataset.negative_docs.values()), default=0))

    @property
    def documents(self) -> int:
        """Returns how many documents there are."""
        return len(self.texts.corpus)

    def queries(self, split: str) -> int:
        """Returns how many queries a split has."""
        return sum(self.asked.values()) if split == _ALL else self.asked.get(split, 0)

    def examples(self, split: str) -> int:
        """Returns how many pairs of a query and a relevant document a split has, about."""
        pairs = sum(len(self.texts.positives(query_id)) for query_id in self.texts.queries)
        return round(self.queries(split) * pairs / max(1, len(self.texts.queries)))


class Texts(NamedTuple):
    """Documents and queries of a dataset that the model of an input encodes, unless it did before."""

    model: str
    data: DataAhead
    documents: int
    queries: int


@dataclass(frozen=True)
class WorkAhead:
    """`anew` texts are encoded in any case, `trained_texts` go forward and back, `judged` pairs are read by a judge.

    `besides` says what isn't in it.
    """

    encodes: Sequence[Texts]
    anew: int = 0
    trained_texts: int = 0
    judged: int = 0
    besides: str = ""


def data_after(step: RecipeStep, before: DataAhead | None) -> DataAhead | None:
    """Returns the dataset that a step will leave; None where that can't be said before it is done."""
    if before is None:
        return None
    if step.kind_name == "split":
        total, val, test = len(before.texts.queries), option(step, "val"), option(step, "test")
        return replace(before, asked={"train": round(total * (1 - val - test)), "val": round(total * val),
                                      "test": round(total * test)})  # fmt: skip
    if step.kind_name == "mine":
        return replace(before, negatives=option(step, "sample") or option(step, "negatives"))
    return before if step.kind_name in ("check", "filter") else None


def work_ahead(step: RecipeStep, data: DataAhead, guards: Sequence[DataAhead]) -> WorkAhead | None:
    """Returns what a step has to compute with models; None for a kind that isn't known here."""
    asked = data.queries(option(step, "split") or _ALL)
    match step.kind_name:
        case "eval" if option(step, "retriever") != "bm25":
            return WorkAhead([Texts("encoder", data, data.documents, asked)])
        case "mine":
            judged = asked * option(step, "depth") if option(step, "judge") else 0
            return WorkAhead([Texts("encoder", data, data.documents, asked)], judged=judged)
        case "gate":
            own = [Texts(model, data, data.documents, asked) for model in ("base", "tuned")]
            return WorkAhead([*own, *_guarding("base", guards), *_guarding("tuned", guards)])
        case "publish":
            return WorkAhead([Texts("model", data, data.documents, 0)], besides="what the store takes to write")
        case "train":
            return _training(step, data, guards if option(step, "gate") else ())
    return None


def _guarding(model: str, guards: Sequence[DataAhead]) -> list[Texts]:
    return [Texts(model, guard, guard.documents, len(guard.texts.queries)) for guard in guards]


def _training(step: RecipeStep, data: DataAhead, guards: Sequence[DataAhead]) -> WorkAhead:
    val = data.queries(option(step, "val_split"))
    if option(step, "method") in WEIGHTS_STAY:
        own = Texts("encoder", data, data.documents, data.queries(option(step, "split")) + val)
        return WorkAhead([own, *_guarding("encoder", guards)], besides="its steps on cached vectors")
    texts = data.examples(option(step, "split")) * (2 + min(option(step, "negatives"), data.negatives))
    guarded = sum(guard.documents + len(guard.texts.queries) for guard in guards)
    mixtures = len(option(step, "grid")) if option(step, "merge") else 1
    chosen = mixtures * (min(data.documents, option(step, "choose_documents")) + val + guarded)
    validated = (1 + option(step, "validations")) * (min(data.documents, option(step, "val_max_documents")) + val)
    return WorkAhead(
        _guarding("encoder", guards),
        anew=validated + (chosen if option(step, "gate") else 0),
        trained_texts=texts * option(step, "epochs"),
    )


def option(step: RecipeStep, name: str) -> Any:
    """Returns an option of a step; None where its kind has no such option."""
    for options in step.options.values():
        if name in type(options).model_fields:
            return getattr(options, name)
    return None
