"""Every store: published, reopened in a new process, killed, repeated, changed; odd ids; no and one document."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from tests.search.store_places import HERE, options_of

from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import DataError, OptionsError, StorageError
from embedtune.export.publishing import publish
from embedtune.export.vector_options import PublishOptions
from embedtune.models.document_key import DocumentKeys
from embedtune.models.moved_documents import MovedDocuments, text_hash
from embedtune.models.tuned_encoder import TunedEncoder
from embedtune.search.stores import STORES

WRITER = """
import json, os, signal, sys
from pathlib import Path
import numpy as np
from embedtune.search.stores import STORES
from embedtune.search.stamp import Stamp
from embedtune.search.vector_store import DocumentBatch

def batch(ids, texts, vectors):
    vectors = np.array(vectors, dtype=np.float32)
    hashes = [str(Stamp.of(*parts, sys.argv[2])) for parts in zip(ids, texts, (vector.tobytes() for vector in vectors))]
    return DocumentBatch(ids, texts, hashes, vectors)

batches = [batch(*parts) for parts in json.loads(Path(sys.argv[1], "batches.json").read_text(encoding="utf-8"))]
for name in sys.argv[3:]:
    module = STORES.load(name)
    for collection in ("whole", "documents"):
        store = module.open_store(module.OPTIONS(path=Path(sys.argv[1]) / name, collection=collection), 32)
        for part in batches:
            store.write(part, replacing=False)
        if collection == "whole":
            store.finish()
            store.close()
os.kill(os.getpid(), signal.SIGKILL)
"""


def size_of(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def counts(report):
    return report.added, report.replaced, report.unchanged, report.deleted, report.missing


def test_the_folder_lists_what_is_promised(tiny_encoder, small):
    assert STORES.names() == ["faiss", "lancedb", "milvus", "qdrant"]
    with pytest.raises(OptionsError, match="unknown store 'milvis'; did you mean 'milvus'"):
        publish(tiny_encoder, small, "milvis")


def test_publishing_again_writes_nothing_and_changes_are_followed(store, tiny_encoder, small, tmp_path):
    settings = options_of(store, tmp_path)
    first = publish(tiny_encoder, small, store, settings, PublishOptions(batch_size=3))
    assert counts(first) == (11, 0, 0, 0, 0)
    assert first.check.passed
    assert (first.check.recall, first.check.unexplained) == (1, 0)
    again = publish(tiny_encoder, small, store, settings)
    assert counts(again) == (0, 0, 11, 0, 0)
    corpus = {name: text for name, text in small.corpus.items() if name != "a b"}
    changed = replace(small, corpus=corpus | {"it's": "改过的文字", "新": "a new one"})
    third = publish(tiny_encoder, changed, store, settings)
    assert counts(third) == (1, 1, 9, 0, 1)
    fourth = publish(tiny_encoder, changed, store, settings, PublishOptions(delete_missing=True))
    assert counts(fourth) == (0, 0, 11, 1, 0)
    assert fourth.check.passed
    opened = STORES.load(store).open_store(settings, 32)
    assert sorted(dict(opened.content_hashes())) == sorted(changed.corpus)
    found = opened.search(tiny_encoder.encode(["改过的文字"], "document"), 1)
    opened.close()
    assert found[0][0].document_id == "it's"


def test_no_document_then_one(store, tiny_encoder, small, tmp_path):
    settings = options_of(store, tmp_path)
    nothing = publish(tiny_encoder, RetrievalDataset({}, {}, {}), store, settings)
    assert counts(nothing) == (0, 0, 0, 0, 0)
    assert nothing.check is None
    one = RetrievalDataset({"q": "茶"}, {"只有": "茶壶"}, {"q": ["只有"]}, queries_split={"val": ["q"]})
    report = publish(tiny_encoder, one, store, settings)
    assert counts(report) == (1, 0, 0, 0, 0)
    assert (report.check.recall, report.check.store) == (1, 1)


def test_moved_documents_are_published_and_found_by_inner_product(store, tiny_encoder, small, tmp_path):
    target = tiny_encoder.encode(["问题"], "query")[0]
    moved = MovedDocuments(("emoji😀",), 3 * target[None], (text_hash(small.corpus["emoji😀"]),))
    settings = options_of(store, tmp_path)
    report = publish(TunedEncoder(tiny_encoder, None, moved), small, store, settings)
    assert report.check.passed
    opened = STORES.load(store).open_store(settings, 32)
    best = opened.search(target[None], 2)[0][0]
    opened.close()
    assert best.document_id == "emoji😀"
    assert best.score == pytest.approx(3, abs=1e-5)
    plain = publish(tiny_encoder, small, store, settings)
    assert counts(plain) == (0, 1, 10, 0, 0)


def test_a_collection_of_another_dimension_is_refused_and_stays(store, tiny_encoder, small, tmp_path):
    settings = options_of(store, tmp_path)
    publish(tiny_encoder, small, store, settings)
    with pytest.raises(StorageError, match="has vectors of 32 dimensions, this model gives 16") as refused:
        STORES.load(store).open_store(settings, 16)
    assert "--collection" in str(refused.value)
    other = STORES.load(store).open_store(options_of(store, tmp_path, collection="other"), 16)
    assert list(other.content_hashes()) == []
    other.close()
    assert counts(publish(tiny_encoder, small, store, settings)) == (0, 0, 11, 0, 0)


def test_half_a_character_is_named(store, tiny_encoder, small, tmp_path):
    broken = replace(small, corpus=dict(small.corpus) | {"bad": "half \ud83d"})
    with pytest.raises(DataError, match="1 documents hold half a character, which no store takes, such as 'bad'"):
        publish(tiny_encoder, broken, store, options_of(store, tmp_path))


def test_a_place_that_cannot_be_written(store, tiny_encoder, small, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file"):
        publish(tiny_encoder, small, store, options_of(store, tmp_path / "file"))
    with pytest.raises(StorageError, match="/sys"):
        publish(tiny_encoder, small, store, STORES.load(store).OPTIONS(path="/sys/embedtune"))


def test_another_process_wrote_it_and_was_killed(tiny_encoder, small, tmp_path):
    vectors = tiny_encoder.encode(list(small.corpus.values()), "document")
    ids, texts = list(small.corpus), list(small.corpus.values())
    parts = [slice(start, start + 2) for start in (0, 2, 4)]
    batches = [[ids[part], texts[part], vectors[part].tolist()] for part in parts]
    (tmp_path / "batches.json").write_text(json.dumps(batches), encoding="utf-8")
    command = [sys.executable, "-c", WRITER, str(tmp_path), DocumentKeys(tiny_encoder, {})["any"], *HERE]
    writer = subprocess.run(command, capture_output=True, check=False)
    assert writer.returncode == -signal.SIGKILL, writer.stderr.decode()
    expected = np.sort(vectors[:6] @ vectors[0])[::-1][:4]
    for name in HERE:
        whole = STORES.load(name).open_store(options_of(name, tmp_path, collection="whole"), 32)
        assert sorted(dict(whole.content_hashes())) == sorted(ids[:6]), name
        (found,) = whole.search(vectors[:1], 4)
        whole.close()
        assert [score for _, score in found] == pytest.approx(expected.tolist(), abs=1e-5), name
        report = publish(tiny_encoder, small, name, options_of(name, tmp_path))
        assert counts(report) == (5, 0, 6, 0, 0), name
        assert report.check.passed, name


@pytest.mark.slow
def test_a_killed_command_goes_on(store, tiny_model, sample, tmp_path):
    texts = list(sample.corpus.values())
    corpus = {f"文档 {number}": f"{texts[number % len(texts)]} {number}" for number in range(400)}
    data = replace(sample, corpus=corpus, relevant_docs={"q01": ["文档 0"]}, negative_docs={})
    data.write(tmp_path / "many.json")
    command = [sys.executable, "-m", "embedtune", "publish", tiny_model, tmp_path / "many.json", "--to", store]
    command += ["--path", tmp_path / "store", "--cache-dir", tmp_path / "cache", "--batch-size", "1", "--split", "all"]
    subprocess.run([*command, "--collection", "first"], capture_output=True, check=True)  # so that all is cached
    before = size_of(tmp_path / "store")
    running = subprocess.Popen([*command, "--collection", "killed"], stderr=subprocess.DEVNULL)
    settings = STORES.load(store).OPTIONS(path=tmp_path / "store", collection="killed")
    while running.poll() is None and size_of(tmp_path / "store") < before + 20_000:
        time.sleep(0.01)
    running.kill()
    running.wait()
    opened = STORES.load(store).open_store(settings, 32)
    there = len(dict(opened.content_hashes()))
    opened.close()
    done = subprocess.run([*command, "--collection", "killed", "--json"], capture_output=True, check=True)
    report = json.loads(done.stdout)
    assert (report["unchanged"], report["added"]) == (there, 400 - there)
    assert report["check"]["passed"]
