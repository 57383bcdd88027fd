from __future__ import annotations

import json

import numpy as np
import pytest
from tests.language.chat_server import Answer, ChatServer
from tests.mine.placed import Placed

from embedtune.data.dataset import RetrievalDataset
from embedtune.language.model import LanguageModel
from embedtune.language.options import LanguageOptions
from embedtune.mine.judge import Judge
from embedtune.mine.mining import mine_negatives
from embedtune.mine.options import MineOptions
from embedtune.mine.teacher import RerankerTeacher
from embedtune.mine.written import with_negatives
from embedtune.search.reranker_options import RerankerOptions
from embedtune.search.reranking import load_reranker


@pytest.fixture
def dataset():
    return RetrievalDataset(
        queries={"q": "水垢怎么除", "unmined": "other"},
        corpus={"p": "白醋", "weak": "柠檬酸", "also": "white vinegar", "half": "boil it", "not": "iron a shirt"},
        relevant_docs={"q": {"p": 3, "weak": 1}},
        negative_docs={"q": ["p"], "unmined": ["not"]},
        queries_split={"train": ["q"]},
        extra={"teacher_scores": {"unmined": {"not": 0.5}}},
    )


ENCODER = Placed({"白醋": 0.9, "柠檬酸": 0.8, "white vinegar": 0.7, "boil it": 0.6, "iron a shirt": 0.1})


class Known:
    """A teacher whose scores are given by text."""

    name = "known"
    least = -np.inf

    def __init__(self, scores):
        self.scores = scores
        self.read = []

    def score(self, pairs):
        self.read += [document for _, document in pairs]
        return np.array([self.scores.get(document, np.nan) for _, document in pairs], dtype=np.float32)


SCORES = {"白醋": 5.0, "柠檬酸": 1.0, "white vinegar": 6.0, "boil it": 2.0, "iron a shirt": -4.0}


def test_what_the_teacher_finds_as_relevant_as_a_positive_is_dropped(dataset):
    report = mine_negatives(dataset, ENCODER, teacher=Known(SCORES))
    assert report.negatives["q"] == ["not"]
    assert report.dropped["teacher"] == 2
    assert report.relabelled == {}
    assert report.teacher_scores["q"] == {"p": 5.0, "weak": 1.0, "also": 6.0, "half": 2.0, "not": -4.0}


def test_as_good_as_the_best_positive_is_relabelled(dataset):
    report = mine_negatives(dataset, ENCODER, teacher=Known(SCORES), options=MineOptions(relabel=True))
    assert report.relabelled == {"q": ["also"]}
    assert report.negatives["q"] == ["not"]
    written = with_negatives(dataset, report)
    assert written.relevant_docs["q"] == {"p": 3, "weak": 1, "also": 1}
    assert dataset.relevant_docs["q"] == {"p": 3, "weak": 1}


def test_relabelling_reads_what_the_score_would_have_dropped(dataset):
    encoder = Placed(ENCODER.cosines | {"white vinegar": 0.95})
    relabelling = mine_negatives(dataset, encoder, teacher=Known(SCORES), options=MineOptions(relabel=True))
    assert relabelling.relabelled == {"q": ["also"]}
    teacher = Known(SCORES)
    assert mine_negatives(dataset, encoder, teacher=teacher).dropped["score"] == 1
    assert "white vinegar" not in teacher.read


def test_a_teacher_without_an_answer_drops_nothing(dataset):
    report = mine_negatives(dataset, ENCODER, teacher=Known({}))
    assert report.negatives["q"] == ["also", "half", "not"]
    assert report.unread_by_teacher == 5
    assert with_negatives(dataset, report).extra["teacher_scores"] == dataset.extra["teacher_scores"]


def test_a_cross_encoder_as_teacher(sample, tiny_encoder, tiny_reranker):
    reranker = load_reranker(tiny_reranker, RerankerOptions(precision="float32"))
    options = MineOptions(strategy="rank-window")
    report = mine_negatives(sample, tiny_encoder, teacher=RerankerTeacher(reranker, "tiny"), options=options)
    for query_id, documents in report.negatives.items():
        read = report.teacher_scores[query_id]
        lowest = min(read[document_id] for document_id in sample.positives(query_id))
        assert all(read[d] < lowest for d in documents if d in read)
    assert report.dropped["teacher"] > 0


def test_a_language_model_as_judge(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")

    def behave(request, number):
        said = request["messages"][1]["content"]
        grade = 3 if "white vinegar" in said or "白醋" in said else 1 if "boil" in said or "柠檬酸" in said else 0
        return Answer("I can't say" if "shirt" in said else json.dumps({"grade": grade}))

    with ChatServer(behave) as server:
        options = LanguageOptions(base_url=server.url, model="m", backoff_s=0.01)
        report = mine_negatives(dataset, ENCODER, teacher=Judge(LanguageModel(options, tmp_path)))
        asked = server.calls
        again = mine_negatives(dataset, ENCODER, teacher=Judge(LanguageModel(options, tmp_path)))
        assert server.calls == asked
    assert report == again
    assert report.negatives["q"] == ["half", "not"]
    assert report.teacher_scores["q"] == {"p": 3, "weak": 1, "also": 3, "half": 1}
    assert report.unread_by_teacher == 1


@pytest.mark.parametrize("name", ["mined.json", "mined"])
def test_scores_and_sources_are_kept_in_the_dataset(dataset, tmp_path, name):
    report = mine_negatives(dataset, ENCODER, teacher=Known(SCORES))
    with_negatives(dataset, report).write(tmp_path / name)
    read = RetrievalDataset.read(tmp_path / name)
    assert read.negative_docs == {"q": ["not"], "unmined": ["not"]}
    assert read.extra["teacher_scores"] == {
        "q": {"p": 5.0, "weak": 1.0, "also": 6.0, "half": 2.0, "not": -4.0},
        "unmined": {"not": 0.5},
    }
    assert read.extra["negative_sources"] == {"q": {"not": "dense"}}
    assert read.relevant_docs == dataset.relevant_docs
