"""Searching in a store what publish wrote: as exact search finds it, and only with the encoder that wrote it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.conftest import build_tiny_model
from tests.search.store_places import options_of

from embedtune import progress
from embedtune.errors import OptionsError, StorageError
from embedtune.export.publishing import publish
from embedtune.export.vector_options import PublishOptions
from embedtune.mine.mining import mine_negatives
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.moved_documents import MovedDocuments, text_hash
from embedtune.models.tuned_encoder import TunedEncoder
from embedtune.models.vector_map import VectorMap
from embedtune.search.dense import DenseRetriever
from embedtune.search.store_index import StoreIndex, opened_index
from embedtune.search.store_search import StoreSearch
from embedtune.search.stores import STORES
from embedtune.search.vector_index import VectorIndex


@pytest.fixture
def opened(store, tiny_encoder, tmp_path):
    """A function: encoder and corpus → the open index, and the cache that counts what is encoded."""
    cache = EmbeddingCache(None)

    def of(corpus, encoder=tiny_encoder, *, strangers=True, **settings):
        options = StoreSearch(path=tmp_path / store, **settings)
        return opened_index(store, options, encoder, corpus, cache, strangers=strangers)

    of.cache = cache
    return of


def test_the_same_documents_and_scores_as_exact_search(store, tiny_encoder, small, tmp_path, opened):
    publish(tiny_encoder, small, store, options_of(store, tmp_path))
    queries = tiny_encoder.encode(list(small.queries.values()), "query")
    documents = tiny_encoder.encode(list(small.corpus.values()), "document")
    exact = VectorIndex(documents, list(small.corpus))
    with opened(small.corpus) as index:
        for top_k in (1, 4, 99):
            assert index.search(queries, top_k) == exact.search(queries, top_k)
        assert index.recall == 1
        assert index.search(queries[:0], 3) == []
        run = DenseRetriever(tiny_encoder, small.corpus, opened.cache, index).retrieve(small.queries, 5)
    plain = DenseRetriever(tiny_encoder, small.corpus, EmbeddingCache(None)).retrieve(small.queries, 5)
    assert dict(run.rankings) == dict(plain.rankings)
    assert opened.cache.encoded_of["document"] == 0


def test_negatives_are_those_of_exact_search_and_no_document_is_encoded(store, tiny_encoder, sample, tmp_path, opened):
    publish(tiny_encoder, sample, store, options_of(store, tmp_path))
    plain = mine_negatives(sample, tiny_encoder, split="all")
    with opened(sample.corpus, strangers=False) as index:
        mined = mine_negatives(sample, tiny_encoder, split="all", cache=opened.cache, stored=index)
    assert mined.mined == plain.mined
    assert (mined.dropped, mined.samples) == (plain.dropped, plain.samples)
    assert opened.cache.encoded_of == {"query": len(sample.queries)}


def test_another_encoders_vectors_are_refused(store, tiny_encoder, small, tmp_path, opened):
    settings = options_of(store, tmp_path)
    publish(tiny_encoder, small, store, settings)
    other = load_encoder(build_tiny_model(tmp_path / "other", seed=1), EncoderOptions(precision="float32"))
    with (
        pytest.raises(StorageError, match="vectors of 11 of 11 documents in the collection are another enc") as no,
        opened(small.corpus, other),
    ):
        pass
    assert "embedtune publish" in str(no.value)
    mapped = TunedEncoder(tiny_encoder, VectorMap.hidden(torch.eye(8, 32), torch.zeros(8), torch.eye(32, 8)), None)
    with opened(small.corpus, mapped) as index:  # only queries are mapped
        assert index.search(mapped.encode(["茶"], "query"), 1)
    moved = MovedDocuments(("emoji😀",), np.eye(1, 32, dtype=np.float32), (text_hash(small.corpus["emoji😀"]),))
    nudged = TunedEncoder(tiny_encoder, None, moved)
    with pytest.raises(StorageError, match=r"vectors of 1 of 11 .* such as 'emoji😀'"), opened(small.corpus, nudged):
        pass
    report = publish(nudged, small, store, settings)
    assert (report.replaced, report.unchanged) == (1, 10)
    with opened(small.corpus, nudged) as index:
        assert index.search(np.eye(1, 32, dtype=np.float32), 1)[0][0] == ("emoji😀", 1.0)
    with pytest.raises(StorageError, match="vectors of 1 of 11"), opened(small.corpus):
        pass


def test_what_only_one_side_has_is_said(store, tiny_encoder, small, tmp_path, opened, capsys):
    publish(tiny_encoder, small, store, options_of(store, tmp_path))
    fewer = {name: text for name, text in small.corpus.items() if name not in ("it's", "2")}
    changed = fewer | {"a b": "another text", "新": "a new one"}
    queries = tiny_encoder.encode([small.corpus["it's"], small.corpus["2"]], "query")
    with progress.shown(), opened(changed) as index:
        found = index.search(queries, 3)
    said = capsys.readouterr().err
    assert "9 of the dataset's 10 documents" in said
    assert "2 documents of the collection aren't in the dataset" in said
    assert "1 documents of the dataset aren't in the collection" in said
    assert "1 documents have another text" in said
    assert found[0][0].document_id == "it's"
    with opened(changed, strangers=False) as index:
        known = index.search(queries, 9)
        new = index.vectors_of(np.array([list(changed).index("新")]))
    assert [len(one) for one in known] == [9, 9]
    assert not {"it's", "2"} & {document for one in known for document, _ in one}
    assert [document for document, _ in known[0]] == [d for d, _ in _exact(tiny_encoder, small, fewer, queries)[0]]
    assert np.array_equal(new, tiny_encoder.encode(["a new one"], "document"))
    assert opened.cache.encoded_of["document"] == 1


def _exact(encoder, data, names, queries):
    documents = encoder.encode([data.corpus[name] for name in names], "document")
    return VectorIndex(documents, list(names)).search(queries, len(names))


def test_strangers_in_front_make_it_look_deeper(store, tiny_encoder, small, tmp_path, opened):
    name, text = next(iter(small.corpus.items()))
    crowd = {f"copy {number}": text for number in range(40)}
    publish(tiny_encoder, replace(small, corpus=crowd | dict(small.corpus)), store, options_of(store, tmp_path))
    query = tiny_encoder.encode([text], "document")
    with opened(small.corpus, strangers=False) as index:
        (found,) = index.search(query, 2)
    assert (found[0].document_id, len(found)) == (name, 2)


def test_nothing_to_search_is_said_and_nothing_made(store, tiny_encoder, small, tmp_path, opened):
    with pytest.raises(StorageError, match="there is no collection 'documents' to search"), opened(small.corpus):
        pass
    assert list(tmp_path.iterdir()) == []
    publish(tiny_encoder, small, store, options_of(store, tmp_path))
    with (
        pytest.raises(StorageError, match="there is no collection 'other' to search") as no,
        opened(small.corpus, collection="other"),
    ):
        pass
    assert "embedtune publish" in str(no.value)
    with (
        pytest.raises(StorageError, match="none of the dataset's 1 documents is in the collection, which holds 11"),
        opened({"elsewhere": "text"}),
    ):
        pass
    assert STORES.load(store).open_store(options_of(store, tmp_path), 32, existing=True).close() is None


def test_stamps_of_before_encoders_were_noted_are_refused(tiny_encoder, small, tmp_path):
    class Old:
        place, index = "a store", "flat"

        def content_hashes(self):
            yield from ((name, "0" * 32) for name in small.corpus)

    with pytest.raises(StorageError, match="11 of 11 documents in the collection don't say which encoder"):
        StoreIndex(Old(), tiny_encoder, small.corpus, EmbeddingCache(None))


def test_recall_of_an_approximate_index_is_measured(tiny_encoder, sample, tmp_path, capsys):
    corpus = {f"文档{number}": f"{text} {number}" for number in range(30) for text in sample.corpus.values()}
    many = replace(sample, corpus=corpus, relevant_docs={"q01": ["文档0"]}, negative_docs={})
    queries = tiny_encoder.encode(list(sample.queries.values()), "query")
    publish(tiny_encoder, many, "faiss", options_of("faiss", tmp_path, index="hnsw"), PublishOptions(check=False))
    options = StoreSearch(path=tmp_path / "faiss", recall_sample=7)
    with progress.shown(), opened_index("faiss", options, tiny_encoder, corpus, EmbeddingCache(None)) as index:
        found = index.search_rows(queries, 5)
    vectors = tiny_encoder.encode(list(corpus.values()), "document")
    exact = VectorIndex(vectors, list(corpus)).search_rows(queries, 5).rows
    shares = [np.isin(one, other).mean() for one, other in zip(exact, found.rows, strict=True)]
    assert not index.exact
    assert index.recall == pytest.approx(np.mean(shares), abs=0.2)
    assert f"recall {index.recall:.4f} of the exact top 5, 7 queries" in capsys.readouterr().err


def test_a_publish_cut_short_is_said(tiny_encoder, small, tmp_path):
    settings = options_of("faiss", tmp_path)
    publish(tiny_encoder, small, "faiss", settings)
    module = STORES.load("faiss")
    cut = module.open_store(settings, 32)
    cut.delete(["a b"])  # and killed before it finished
    with pytest.raises(StorageError, match="a publish was cut short"):
        module.open_store(settings, 32, existing=True)


def test_a_place_goes_with_a_store(tiny_encoder, small, tmp_path):
    with (
        pytest.raises(OptionsError, match="'exact' is none"),
        opened_index("exact", StoreSearch(path=tmp_path), tiny_encoder, small.corpus, EmbeddingCache(None)),
    ):
        pass
    with (
        pytest.raises(OptionsError, match="faiss is a folder and has no address"),
        opened_index("faiss", StoreSearch(url="http://h"), tiny_encoder, small.corpus, EmbeddingCache(None)),
    ):
        pass
    with opened_index("exact", StoreSearch(), tiny_encoder, small.corpus, EmbeddingCache(None)) as name:
        assert name == "exact"
