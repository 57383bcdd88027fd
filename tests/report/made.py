"""Made content for pages: evaluations of a real size from random rankings, by the real measures."""

from __future__ import annotations

import random
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import NamedTuple

from embedtune.data.checks.finding import Finding
from embedtune.data.dataset import RetrievalDataset
from embedtune.evaluate.comparison import CompareOptions, Difference
from embedtune.evaluate.evaluation import Evaluation, evaluate
from embedtune.report.content import (
    ChoiceRow,
    CurvePoint,
    DatasetFacts,
    Decision,
    GuardResult,
    LeftOut,
    MiningFigures,
    ReportContent,
    ScoreRange,
    TrainingCurve,
    Words,
)
from embedtune.report.decision import decide
from embedtune.report.exploring import explore
from embedtune.report.systems import system_results
from embedtune.search.run import Run

VOID = {"meta", "link", "input", "br", "hr", "img"}
QUICK = CompareOptions(resamples=200)


class Listed:
    """A retriever that finds what it is told."""

    def __init__(self, found: Mapping[str, list[str]]) -> None:
        self.found = found

    def retrieve(self, queries: Mapping[str, str], top_k: int = 10) -> Run:
        return Run.from_scores(
            {
                query_id: {
                    document_id: 1 - place / 100 for place, document_id in enumerate(self.found[query_id][:top_k])
                }
                for query_id in queries
            }
        )


def random_evaluations(dataset: RetrievalDataset, names: list[str], seed: int = 1) -> dict[str, Evaluation]:
    """Returns evaluations of random rankings; each system finds more of the relevant documents than the one before."""
    generator = random.Random(seed)
    document_ids = list(dataset.corpus)
    evaluations = {}
    for number, name in enumerate(names, start=1):
        found = {}
        for query_id in dataset.queries:
            ranking = generator.sample(document_ids, min(10, len(document_ids)))
            if generator.random() < number / (len(names) + 1):
                place = generator.randrange(3)
                ranking = [d for d in ranking if d not in dataset.positives(query_id)]
                ranking.insert(place, dataset.positives(query_id)[0])
            found[query_id] = ranking
        evaluations[name] = evaluate(dataset, Listed(found), split="all")
    return evaluations


def content_of(dataset: RetrievalDataset, evaluations: Mapping[str, Evaluation]) -> ReportContent:
    """Returns a page's content with decision, systems and explorer."""
    systems = system_results(evaluations, QUICK)
    names = list(evaluations)
    return ReportContent(
        title="made",
        measure="ndcg_at_10",
        queries=len(dataset.queries),
        split="all",
        systems=systems,
        decision=decide(evaluations, systems, proposed=names[-1], options=QUICK),
        explorer=explore(dataset, evaluations, measure="ndcg_at_10", shown=(names[0], names[-1])),
        made_with={"created": "2026-01-01", "embedtune": "0"},
    )


def every_part(text: str) -> dict[str, object]:
    """Returns all other parts, with a text wherever one can stand."""
    difference = Difference(0.5, 0.4, -0.1, (-0.2, -0.05), 0.01)
    points = [CurvePoint(step, 0.5 + step / 99, 1 / (1 + step)) for step in range(4)]
    return {
        "left_out": [LeftOut(text, Words(text, text))],
        "choice": [
            ChoiceRow(text, 0.5, None, None, Words(text, text)),
            ChoiceRow(text, 0.6, 0.1, (0.05, 0.15), Words(text, text), 0.01),
        ],
        "title": text,
        "split": text,
        "decision": Decision("warn", Words(text, text + "。"), [Words(text, text)]),
        "guards": [GuardResult(text, 9, difference), GuardResult("limited", 9, difference, 0.005, False)],
        "curves": [TrainingCurve(text, text, text, points, 3, [text])],
        "dataset": DatasetFacts(text, 3, 2, {text: 2}, [Finding("warning", text, text, (), (text,), text)]),
        "mining": MiningFigures(2, 4, 0, {text: 3}, {text: 4}, [(text, 4)], [ScoreRange(0.1, 0.2, 4, 2)]),
        "made_with": {"created": text, "embedtune": text},
    }  # fmt: skip


class Element(NamedTuple):
    tag: str
    attributes: dict[str, str]


class Checked(HTMLParser):
    """Parses a page strictly: every element is closed in its order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[Element] = []
        self.cells: list[tuple[str, str, str]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self._cell: tuple[str, str] | None = None
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = {name: value or "" for name, value in attrs}
        assert len(attributes) == len(attrs), f"an attribute twice in {tag}"
        self.elements.append(Element(tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if "data-system" in attributes:
            self._cell = attributes["data-system"], attributes["data-measure"]

    def handle_startendtag(self, tag, attrs):
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((tuple(self.open), data))
        if self._cell is not None:
            self.cells.append((*self._cell, data))
            self._cell = None

    def text_in(self, tag: str) -> str:
        return "".join(data for around, data in self.texts if tag in around)


def made_dataset(queries: int, documents: int, words: int, seed: int = 0) -> RetrievalDataset:
    """Returns a dataset of random words, frequent and rare as in real text (Zipf)."""
    generator = random.Random(seed)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    vocabulary = [
        "".join(generator.choices(letters, range(26, 0, -1), k=generator.randint(2, 9))) for _ in range(20_000)
    ]
    weights = [1 / (rank + 2) for rank in range(len(vocabulary))]
    text = iter(generator.choices(vocabulary, weights, k=documents * words + queries * 9))
    corpus = {f"document-{number}": " ".join(next(text) for _ in range(words)) for number in range(documents)}
    asked = {f"query-{number}": " ".join(next(text) for _ in range(9)) for number in range(queries)}
    relevant = {query_id: [f"document-{generator.randrange(documents)}"] for query_id in asked}
    return RetrievalDataset(asked, corpus, relevant)
