"""What every filter has to do, whatever it looks for."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.language.chat_server import Answer, ChatServer

from embedtune.errors import OptionsError
from embedtune.language.model import LanguageModel
from embedtune.language.options import LanguageOptions
from embedtune.search.reranker_options import RerankerOptions
from embedtune.search.reranking import load_reranker
from embedtune.synthesize.filter_rounds import restore_queries
from embedtune.synthesize.filtering import FilterChoice, filter_queries
from embedtune.synthesize.filters import FILTERS
from embedtune.synthesize.filters.duplicates import DuplicatesOptions
from embedtune.synthesize.filters.relabel import RelabelOptions
from embedtune.synthesize.filters.round_trip import RoundTripOptions
from embedtune.synthesize.material import FilterModels

STRICT = {
    "duplicates": DuplicatesOptions(fewest_words=4),
    "round-trip": RoundTripOptions(found_by="both"),
    "relabel": RelabelOptions(candidates_by="hybrid", candidates=4, margin=0),
}


@pytest.fixture(scope="module")
def server():
    def behave(request, number):
        return Answer(json.dumps({"grade": len(request["messages"][1]["content"]) % 4}))

    with ChatServer(behave) as server:
        yield server


@pytest.fixture
def models(tiny_encoder, tiny_reranker, server, tmp_path):
    language_model = LanguageModel(LanguageOptions(base_url=server.url, model="judge"), tmp_path / "replies")
    reranker = load_reranker(tiny_reranker, RerankerOptions(precision="float32"))
    return FilterModels(encoder=tiny_encoder, reranker=reranker, language_model=language_model)


def test_option_names_are_used_once():
    fields = [field for name in FILTERS.names() for field in FILTERS.load(name).OPTIONS.model_fields]
    assert len(fields) == len(set(fields))
    assert FILTERS.names() == ["cross-encoder", "duplicates", "llm-judge", "relabel", "round-trip"]


@pytest.mark.parametrize("name", FILTERS.names())
def test_drops_are_explained_kept_and_undone(name, sample, models):
    report = filter_queries(sample, {name: STRICT.get(name)}, models=models)
    (step,) = report.steps
    assert step.judgement.dropped or step.judgement.relabelled
    for query_id, (filter_name, drop) in report.dropped.items():
        assert filter_name == name
        assert query_id in sample.queries_split["train"]
        assert drop.code
        assert drop.reason
    assert set(report.dataset.queries) == set(sample.queries) - set(report.dropped)
    assert report.dataset.queries_split["test"] == sample.queries_split["test"]
    assert json.loads(json.dumps(report.to_json()))["queries"]["before"] == 12
    assert any(snip in line for line in report.words() for snip in ("‘", "“"))
    assert restore_queries(report.dataset).content_hash() == sample.content_hash()
    assert filter_queries(sample, {name: STRICT.get(name)}, models=models).to_json() == report.to_json()


def test_each_filter_sees_what_the_one_before_left_and_other_splits_stay(sample):
    splits = dict(sample.queries_split) | {"test": ["q01", *sample.queries_split["test"]]}
    dataset = replace(sample, queries_split=splits)
    report = filter_queries(dataset, {"duplicates": STRICT["duplicates"], "round-trip": None})
    first, second = report.steps
    assert first.queries == 11
    assert first.judgement.dropped
    assert second.queries == 11 - len(first.judgement.dropped)
    assert "q01" in sample.queries_split["train"]
    assert "q01" not in report.dropped


@pytest.mark.parametrize("name", FILTERS.names())
def test_what_it_needs_is_asked_for_before_any_work(name, sample):
    options = STRICT.get(name) or FILTERS.load(name).OPTIONS()
    needed = FILTERS.load(name).needs(options)
    if not needed:
        return
    with pytest.raises(OptionsError) as caught:
        filter_queries(sample, {name: options})
    for model in needed:
        assert model.replace("_", " ") in str(caught.value)


@pytest.mark.parametrize("name", FILTERS.names())
def test_graded_labels_and_no_query_at_all(name, sample, models):
    graded = {q: dict.fromkeys(documents, 2) for q, documents in sample.relevant_docs.items()}
    dataset = replace(sample, relevant_docs=graded)
    report = filter_queries(dataset, {name: STRICT.get(name)}, models=models)
    assert restore_queries(report.dataset).content_hash() == dataset.content_hash()
    for query_id in report.dataset.queries_split["train"]:
        assert set(report.dataset.relevant_docs[query_id].values()) == {2}
    nobody = FilterChoice(judged="synthetic")
    made = replace(sample, extra={"synthesis": {"queries": {"elsewhere": {}}}})
    assert filter_queries(made, {name: STRICT.get(name)}, choice=nobody, models=models).dropped == {}
