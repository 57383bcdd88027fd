from __future__ import annotations

from dataclasses import replace

from embedtune.data.checks import EncoderFacts, check_dataset
from embedtune.data.dataset import RetrievalDataset


def codes(dataset, *arguments):
    return {finding.code: finding for finding in check_dataset(dataset, *arguments)}


def test_clean_sample_has_only_true_findings(sample):
    found = codes(sample)
    assert set(found) == {"few-test-queries", "languages"}
    assert found["few-test-queries"].level == "warning"
    assert "8 scored queries in test: a difference of 2 points needs 1,225" in found["few-test-queries"].message
    assert "784 at 0.20, 441 at 0.15" in found["few-test-queries"].message
    assert "test 50% Latin script, 50% Chinese (simplified)" in found["languages"].message


def test_planted_faults_are_found_with_their_ids(sample):
    planted = replace(
        sample,
        queries={**sample.queries, "copy": sample.queries["q04"].upper(), "lost": "nobody answers this"},
        corpus={**sample.corpus, "twin": sample.corpus["en-tea"]},
        negative_docs={"q11": ["en-tea"]},
        queries_split={**sample.queries_split, "train": [*sample.queries_split["train"], "copy", "q05"]},
    )
    found = codes(planted)
    assert found["leaked-queries"].ids == ("q04", "copy")
    assert found["query-in-two-splits"].ids == ("q05",)
    assert found["negative-is-positive"].ids == ("q11",)
    assert found["repeated-documents"].ids == ("en-tea", "twin")
    assert found["unjudged-copies"].ids == ("q11",)
    assert set(found["queries-without-documents"].ids) == {"copy", "lost"}
    levels = [finding.level for finding in check_dataset(planted)]
    assert levels == sorted(levels, key=["error", "warning", "note"].index)


def test_a_leak_too_small_to_move_a_score_is_a_warning():
    words = [f"{a}{b}{c}" for a in "abcdefg" for b in "hijkl" for c in "mnopqrst"]
    queries = {f"q{i}": f"{word} {word[::-1]} {i}" for i, word in enumerate(words)}
    base = RetrievalDataset(
        queries={**queries, "leak": queries["q7"]},
        corpus={"d": "a document about all of them"},
        relevant_docs={query_id: ["d"] for query_id in [*queries, "leak"]},
        queries_split={"train": ["leak"], "test": list(queries)},
    )
    assert codes(base)["leaked-queries"].level == "warning"
    fewer = replace(base, queries_split={"train": ["leak"], "test": [f"q{i}" for i in range(50)]})
    assert codes(fewer)["leaked-queries"].level == "error"


def test_copies_and_the_judgements_they_spoil(sample):
    text = sample.corpus["en-bread"]
    planted = replace(
        sample,
        corpus={**sample.corpus, "version": text.replace("strong enough", "strong  enough already")},
        negative_docs={"q02": ["version"]},
    )
    found = codes(planted)
    assert found["near-duplicate-documents"].ids == ("en-bread", "version")
    assert found["negative-copies-positive"].ids == ("q02",)
    assert "unjudged-copies" not in found


def test_same_query_judged_twice(sample):
    copy = {**sample.queries, "q02b": sample.queries["q02"]}
    train = {**sample.queries_split, "train": [*sample.queries_split["train"], "q02b"]}
    divided = replace(
        sample, queries=copy, relevant_docs={**sample.relevant_docs, "q02b": ["en-tea"]}, queries_split=train
    )
    found = codes(replace(divided, negative_docs={}))
    assert found["divided-judgements"].ids == ("q02", "q02b")
    assert found["repeated-queries"].ids == ("q02", "q02b")
    assert codes(divided)["conflicting-judgements"].ids == ("q02", "q02b")
    graded = replace(divided, negative_docs={}, relevant_docs={**divided.relevant_docs, "q02": {"en-tea": 0}})
    assert codes(graded)["conflicting-judgements"].level == "error"


def test_documents_on_both_sides(sample):
    shared = replace(sample, relevant_docs={**sample.relevant_docs, "q11": ["en-bread"]})
    assert codes(shared)["documents-shared-by-splits"].ids == ("en-bread",)
    near = {**sample.corpus, "bread2": sample.corpus["en-bread"].replace("A sourdough", "The sourdough")}
    beside = replace(sample, corpus=near, relevant_docs={**sample.relevant_docs, "q11": ["bread2"]})
    assert codes(beside)["near-documents-shared-by-splits"].ids == ("en-bread", "bread2")


def test_sizes_and_languages(sample):
    long = replace(sample, queries={q: text * 40 for q, text in sample.queries.items()})
    assert len(codes(long)["queries-longer-than-documents"].ids) == 24
    english = [q for q in sample.queries if q < "q13"]
    chinese = [q for q in sample.queries if q >= "q13"]
    divided = codes(replace(sample, queries_split={"train": english, "test": chinese}))
    assert divided["languages-differ"].level == "warning"
    assert codes(replace(sample, negative_docs={}))["no-negatives"].level == "note"
    assert codes(replace(sample, queries_split={}))["no-splits"].level == "note"
    assert codes(replace(sample, queries_split={"train": english}))["queries-in-no-split"].ids == tuple(chinese)
    single = replace(sample, relevant_docs={q: [d] for q, d in zip(sample.queries, sample.corpus, strict=True)})
    assert "0 of 24 relevant documents" in codes(single)["one-query-a-document"].message


def test_faults_of_form_are_findings_too(sample):
    broken = replace(
        sample,
        queries={**sample.queries, "empty": " \t"},
        corpus={**sample.corpus, "blank": "\u3000"},
        relevant_docs={**sample.relevant_docs, "q03": ["en-bike", "nowhere"], "nobody": ["en-bike"]},
    )
    found = codes(broken)
    assert found["empty-queries"].ids == ("empty",)
    assert found["empty-documents"].ids == ("blank",)
    assert found["unknown-documents"].ids == ("nowhere",)
    assert found["unknown-queries"].ids == ("nobody",)
    assert {found[code].level for code in ("empty-queries", "unknown-documents")} == {"error"}


def facts(**changed):
    values = {"name": "BAAI/bge-small-zh-v1.5", "max_length": 20, "query_prompt": "", "document_prompt": ""} | changed
    return EncoderFacts(count_tokens=lambda texts: [len(text) for text in texts], **values)


def test_what_an_encoder_cuts_and_misses(sample):
    found = codes(sample, facts())
    assert len(found["documents-over-limit"].ids) == 24
    total, kept = sum(map(len, sample.corpus.values())), 24 * 20
    assert f"{1 - kept / total:.1%} of all text is cut off" in found["documents-over-limit"].message
    assert "为这个句子生成表示以用于检索相关文章：" in found["prompt-missing"].to_do
    prompted = codes(sample, facts(query_prompt="为这个句子生成表示以用于检索相关文章：", max_length=100_000))
    assert not {"prompt-missing", "documents-over-limit", "queries-over-limit"} & set(prompted)


def test_prompts_are_known_by_name(sample):
    wanting = [
        "intfloat/multilingual-e5-small",
        "/models/bge-large-en-v1.5",
        "e5-base-v2",
        "nomic-ai/nomic-embed-text-v1.5",
    ]
    for name in wanting:
        assert "prompt-missing" in codes(sample, facts(name=name)), name
    for name in ["minilm", "BAAI/bge-m3", "intfloat/multilingual-e5-large-instruct", "thenlper/gte-small"]:
        assert "prompt-missing" not in codes(sample, facts(name=name)), name
    assert codes(sample, facts(name="e5-base-v2"))["prompt-missing"].to_do.count("-instruction") == 2


def test_nothing_to_check():
    found = codes(RetrievalDataset(queries={}, corpus={}, relevant_docs={}))
    assert found["missing-field"].level == "error"


def test_a_query_and_a_document_may_share_an_id():
    garbled = "Gro\u00c3\u0178e Stra\u00c3\u0178e"
    found = codes(
        RetrievalDataset(queries={"x": f"{garbled} 1"}, corpus={"x": f"{garbled} 2"}, relevant_docs={"x": ["x"]})
    )
    assert found["wrong-encoding"].message.startswith("2 texts were read in the wrong encoding: UTF-8 read as Latin-1")
    assert found["wrong-encoding"].examples[1] == "corpus['x']: “GroÃŸe StraÃŸe 2”, read rightly “Große Straße 2”"
