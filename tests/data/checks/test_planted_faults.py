"""Thirty different faults planted in clean collections: every one is found, none is seen before."""

from __future__ import annotations

import json

import pytest
from tests.conftest import SAMPLE

from embedtune.data.checks import EncoderFacts, check_dataset
from embedtune.data.cleaning import clean_dataset
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.usable import read_usable

SMALL_COLLECTIONS = ["xquad-en", "xquad-zh"]
LARGER_COLLECTIONS = [pytest.param(name, marks=pytest.mark.slow) for name in ("cmrc2018", "drcd", "pubmedqa-l")]
CHINESE = "月球的引力使海水每天涨落两次。朔望前后，日月与地球接近一线，涨落的幅度比平时大得多。"
ENCODER = EncoderFacts("bge-small-en-v1.5", 8000, lambda texts: [len(text) for text in texts], "", "")


class Planter:
    """Plants one fault after another, each in queries and documents that no other fault touches."""

    def __init__(self, fields):
        self.fields = {name: dict(value) for name, value in fields.items()}
        self.fields["queries_split"] = {s: list(ids) for s, ids in fields["queries_split"].items()}
        self.fields.setdefault("negative_docs", {})
        relevant = self.fields["relevant_docs"]
        used = set()
        self.train, self.test = [], []
        for split, queries in (("train", self.train), ("test", self.test)):
            for query_id in sorted(fields["queries_split"][split], key=lambda q: -len(fields["queries"][q])):
                if used.isdisjoint(relevant[query_id]):
                    used.update(relevant[query_id])
                    queries.append(query_id)
        self.expected = []

    def positive(self, query_id):
        return next(iter(self.fields["relevant_docs"][query_id]))

    def text(self, query_id):
        return self.fields["corpus"][self.positive(query_id)]

    def document(self, code, document_id, text):
        self.fields["corpus"][document_id] = text
        self.expected.append((code, document_id))

    def query(self, code, query_id, text, relevant, split="train"):
        self.fields["queries"][query_id] = text
        if relevant:
            self.fields["relevant_docs"][query_id] = relevant
        if split:
            self.fields["queries_split"][split].append(query_id)
        self.expected.append((code, query_id))

    def plant(self):
        fields, train, test = self.fields, self.train, self.test
        relevant, negatives = fields["relevant_docs"], fields["negative_docs"]
        relevant[train[0]] = [self.positive(train[0]), "ghost-document"]
        fields["queries_split"]["train"].append("ghost-query")
        self.expected += [("unknown-documents", "ghost-document"), ("unknown-queries", "ghost-query")]
        self.document("empty-documents", "blank-document", " \n")
        self.query("empty-queries", "blank-query", "\u3000", None)
        self.query("wrong-type", "number", 7, None)
        self.document("wrong-encoding", "as-latin-1", CHINESE.encode().decode("latin-1"))
        self.document("wrong-encoding", "as-gbk", CHINESE.encode().decode("gbk", "replace"))
        self.document("wrong-encoding", "from-gbk", CHINESE.encode("gbk").decode("utf-8", "replace"))
        self.document("wrong-encoding", "gbk-as-latin-1", CHINESE.encode("gbk").decode("latin-1"))
        self.document("lost-characters", "torn", "One sign of this text is torn out: \ufffd, the others stay here.")
        self.document("markup", "html", "A page that still has <b>its tags</b> and&nbsp;entities in the text.")
        self.document("repeated-documents", "twin", self.text(train[1]))
        self.expected.append(("unjudged-copies", train[1]))
        self.document("near-duplicate-documents", "version", self.text(train[2]) + " 再")
        self.query("repeated-queries", "again", fields["queries"][train[3]], [self.positive(train[3])])
        self.query("conflicting-judgements", "conflict", fields["queries"][train[4]], [self.positive(train[5])])
        negatives["conflict"] = [self.positive(train[4])]
        self.query("divided-judgements", "divided", fields["queries"][train[6]], [self.positive(train[7])])
        negatives[train[8]] = [self.positive(train[8])]
        self.expected.append(("negative-is-positive", train[8]))
        fields["corpus"]["copy-of-9"] = self.text(train[9]) + " 又"
        negatives[train[9]] = ["copy-of-9"]
        self.expected.append(("negative-copies-positive", train[9]))
        relevant[train[10]] = [self.positive(train[10])] * 2
        self.expected.append(("repeated-entries", train[10]))
        fields["queries_split"]["val"].append(train[11])
        self.expected.append(("query-in-two-splits", train[11]))
        self.query("leaked-queries", "leak", fields["queries"][test[0]], [self.positive(train[0])])
        self.query("nearly-leaked-queries", "near-leak", fields["queries"][test[1]] + "呢", [self.positive(train[0])])
        self.query("documents-shared-by-splits", "sharing", "a question of its own kind", [self.positive(test[2])])
        self.expected[-1] = ("documents-shared-by-splits", self.positive(test[2]))
        fields["corpus"]["copy-of-test"] = self.text(test[3]) + " 还"
        self.query("near-documents-shared-by-splits", "near-sharing", "quite another question", ["copy-of-test"])
        self.expected[-1] = ("near-documents-shared-by-splits", "copy-of-test")
        self.query("queries-without-documents", "lost", "nobody answers this", None)
        self.query("queries-in-no-split", "idle", "nobody asks this", [self.positive(train[0])], split=None)
        self.document("documents-over-limit", "endless", "one more sentence that is not cut into chunks. " * 200)
        self.expected.append(("prompt-missing", None))

    def write(self, path):
        """Writes the file with one id of the corpus in it twice."""
        text = json.dumps(self.fields, ensure_ascii=False)
        document_id = self.positive(self.train[12 % len(self.train)])
        text = text.replace('"corpus": {', f'"corpus": {{{json.dumps(document_id)}: "an older text",', 1)
        path.write_text(text, encoding="utf-8")
        self.expected.append(("repeated-id", document_id))
        return path


def planted_and_missed(fields, tmp_path):
    planter = Planter(fields)
    planter.plant()
    usable = read_usable(planter.write(tmp_path / "planted.json"))
    found = {finding.code: finding for finding in check_dataset(usable.dataset, ENCODER, usable.faults)}
    missed = [
        (code, text_id)
        for code, text_id in planter.expected
        if code not in found or (text_id is not None and text_id not in found[code].ids)
    ]
    return planter.expected, missed, usable


def enlarged_sample():
    """The sample with two more training queries a document, so that every fault has its own."""
    fields = json.loads(SAMPLE.read_text(encoding="utf-8"))
    moved = [q for q in fields["queries_split"]["val"] if q != "q08"]
    fields["queries_split"]["train"] += moved
    fields["queries_split"]["val"] = ["q08"]
    return fields


def test_every_fault_planted_in_the_sample_is_found(tmp_path):
    fields = enlarged_sample()
    expected, missed, _ = planted_and_missed(fields, tmp_path)
    assert len(expected) == 30
    assert missed == []


def test_fix_leaves_no_error_and_says_what_it_changed(tmp_path):
    expected, _, usable = planted_and_missed(enlarged_sample(), tmp_path)
    before = usable.dataset.content_hash()
    cleaned, changes = clean_dataset(usable.dataset, usable.faults)
    assert [f for f in check_dataset(cleaned) if f.level == "error" and f.code != "wrong-encoding"] == []
    assert cleaned.corpus["as-latin-1"] == CHINESE
    assert usable.dataset.content_hash() == before
    fixable = {code for code, _ in expected} - {
        "documents-over-limit", "lost-characters", "markup", "near-duplicate-documents", "nearly-leaked-queries",
        "documents-shared-by-splits", "near-documents-shared-by-splits", "queries-without-documents",
        "queries-in-no-split", "prompt-missing",
    }  # fmt: skip
    joined_with_others = {"unjudged-copies", "conflicting-judgements", "divided-judgements"}
    assert {change.code for change in changes} == fixable - joined_with_others
    again, more = clean_dataset(cleaned)
    assert more == []
    assert again.content_hash() == cleaned.content_hash()


@pytest.mark.parametrize("name", [*SMALL_COLLECTIONS, *LARGER_COLLECTIONS])
def test_every_fault_planted_in_a_real_collection_is_found(name, shared_data, tmp_path):
    path = shared_data / name / "dataset.json"
    clean = check_dataset(RetrievalDataset.read(path), ENCODER)
    assert [finding for finding in clean if finding.level == "error"] == []
    expected, missed, _ = planted_and_missed(json.loads(path.read_text(encoding="utf-8")), tmp_path)
    assert len(expected) == 30
    assert missed == []


@pytest.mark.slow
def test_no_error_on_a_clean_real_collection(shared_data):
    for folder in sorted(shared_data.iterdir()):
        if (folder / "dataset.json").is_file():
            found = check_dataset(RetrievalDataset.read(folder / "dataset.json"))
            assert [finding for finding in found if finding.level == "error"] == [], folder.name
