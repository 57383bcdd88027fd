"""What a page can show; each part is left out of the page where it is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from embedtune.data.checks.finding import Finding
from embedtune.evaluate.causes import Cause
from embedtune.evaluate.comparison import Difference

__all__ = [
    "ChoiceRow",
    "CurvePoint",
    "DatasetFacts",
    "Decision",
    "ExploredQuery",
    "Explorer",
    "GuardResult",
    "LeftOut",
    "MiningFigures",
    "ReportContent",
    "ScoreRange",
    "SystemCosts",
    "SystemResult",
    "Tone",
    "TrainingCurve",
    "Words",
]

Tone = Literal["change", "keep", "warn"]


class Words(NamedTuple):
    """The same said in English and in Chinese."""

    en: str
    zh: str


@dataclass(frozen=True)
class Decision:
    """What to do, in a sentence, and why; `change` something, `keep` what there is, or `warn` of a loss."""

    tone: Tone
    headline: Words
    reasons: Sequence[Words] = ()


@dataclass(frozen=True)
class SystemCosts:
    """What a system costs to get and to run; None where that wasn't measured."""

    train_seconds: float | None = None
    documents_to_encode: int | None = None
    query_milliseconds: float | None = None
    size_bytes: int | None = None


@dataclass(frozen=True)
class SystemResult:
    """One way of retrieving: its means, an interval of the main one, and how it stands against the first system.

    `against` is None for the first system itself. `wins`, `ties` and `losses` count queries.
    """

    name: str
    means: Mapping[str, float]
    interval: tuple[float, float]
    against: Difference | None = None
    wins: int = 0
    ties: int = 0
    losses: int = 0
    costs: SystemCosts = SystemCosts()
    made_by: str = ""


@dataclass(frozen=True)
class GuardResult:
    """What tuning did to a collection that it wasn't meant for; `difference` is tuned minus base.

    `passed` is None where no gate has judged it; `allowed_loss` is in the measure's units.
    """

    name: str
    queries: int
    difference: Difference
    allowed_loss: float | None = None
    passed: bool | None = None


class CurvePoint(NamedTuple):
    """A validation: after how many steps, the score, the mean loss since the last one."""

    step: int
    score: float
    loss: float | None


@dataclass(frozen=True)
class TrainingCurve:
    """The validations of one training, the step that was kept, and what was doubted before it began."""

    name: str
    method: str
    measure: str
    points: Sequence[CurvePoint]
    chosen_step: int
    doubts: Sequence[str] = ()


@dataclass(frozen=True)
class DatasetFacts:
    """How large the dataset is, and what its checks found; `findings` is None where nothing was checked."""

    name: str
    documents: int
    queries: int
    splits: Mapping[str, int]
    findings: Sequence[Finding] | None = None


class ScoreRange(NamedTuple):
    """How many negatives, and how many queries' lowest-scored positives, score from `low` to `high`."""

    low: float
    high: float
    negatives: int
    positives: int


@dataclass(frozen=True)
class MiningFigures:
    """What mining found; `ranks` are (range of ranks, negatives), `dropped` and `sources` count documents."""

    queries: int
    negatives: int
    queries_without_negatives: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    sources: Mapping[str, int] = field(default_factory=dict)
    ranks: Sequence[tuple[str, int]] = ()
    scores: Sequence[ScoreRange] = ()


class ExploredQuery(NamedTuple):
    """A query; scores, documents (best first) and causes are lists with one entry a system."""

    query_id: str
    text: str
    relevant: Mapping[str, float]
    scores: Sequence[float]
    rankings: Sequence[Sequence[str]]
    causes: Sequence[Sequence[Cause]]


@dataclass(frozen=True)
class Explorer:
    """Queries to look at, under `systems`; the page opens with `shown`, two of their names."""

    measure: str
    systems: Sequence[str]
    queries: Sequence[ExploredQuery]
    corpus: Mapping[str, str]
    shown: tuple[str, str]


class LeftOut(NamedTuple):
    """A system that isn't in the table, and why."""

    name: str
    why: Words


class ChoiceRow(NamedTuple):
    """What a system was judged by before test was asked: its mean, the difference from the first one, what followed.

    `p` is corrected for the number of systems; the first system has no difference.
    """

    name: str
    mean: float
    difference: float | None
    interval: tuple[float, float] | None
    outcome: Words
    p: float = 1.0


@dataclass(frozen=True)
class ReportContent:
    """Everything on a page. The first of `systems` is what the others are compared with."""

    title: str
    measure: str
    queries: int
    split: str
    systems: Sequence[SystemResult]
    decision: Decision | None = None
    guards: Sequence[GuardResult] = ()
    curves: Sequence[TrainingCurve] = ()
    dataset: DatasetFacts | None = None
    mining: MiningFigures | None = None
    explorer: Explorer | None = None
    left_out: Sequence[LeftOut] = ()
    choice: Sequence[ChoiceRow] = ()
    made_with: Mapping[str, str] = field(default_factory=dict)
