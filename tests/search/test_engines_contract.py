"""Every engine: the same run as search in this process, the same vectors, the same negatives; nothing encoded twice."""

from __future__ import annotations

import numpy as np
import pytest
from tests.search.ray_stand_in import stand_in

from embedtune.data import table_folder
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import EvaluationError, MissingPackageError, OptionsError
from embedtune.mine.mining import mine_negatives
from embedtune.mine.options import MineOptions
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.moved_documents import MovedDocuments, text_hash
from embedtune.models.tuned_encoder import TunedEncoder
from embedtune.search.dense import DenseRetriever
from embedtune.search.engine import Engine
from embedtune.search.engine_options import EngineOptions
from embedtune.search.engines import ENGINES
from embedtune.search.vector_index import VectorIndex

FLOAT32 = EncoderOptions(precision="float32")


@pytest.fixture(params=ENGINES.names())
def name(request, monkeypatch):
    if request.param == "ray":
        pytest.importorskip("ray")
        stand_in(monkeypatch)
    return request.param


@pytest.fixture
def dataset(tmp_path, sample, monkeypatch):
    """The household questions, Chinese and English, among copies and fillers: eight groups of a table."""
    filler = {f"填充{number}": f"第{number % 20}篇 kettle" for number in range(60)}
    corpus = {**sample.corpus, **filler, **{f"copy-{key}": text for key, text in sample.corpus.items()}}
    whole = RetrievalDataset(sample.queries, corpus, sample.relevant_docs, queries_split=sample.queries_split)
    monkeypatch.setattr(table_folder, "_ROWS_A_GROUP", 15)
    whole.write(tmp_path / "dataset")
    return RetrievalDataset.read(tmp_path / "dataset")


@pytest.fixture
def engine(name, tiny_model):
    return Engine(EngineOptions(engine=name, block_documents=40), str(tiny_model), FLOAT32)


@pytest.fixture
def encoded(engine, tiny_encoder, dataset, tmp_path):
    return engine.encode_corpus(tiny_encoder, dataset.corpus, EmbeddingCache(tmp_path / "cache"))


def test_the_folder_lists_what_is_promised(monkeypatch):
    assert {"local", "ray"} <= set(ENGINES.names())
    with pytest.raises(OptionsError, match="unknown engine 'rya'; did you mean 'ray'"):
        Engine(EngineOptions(engine="rya")).check()


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    def missing(*_):
        raise ModuleNotFoundError("No module named 'ray'", name="ray")

    monkeypatch.setattr("embedtune.registry.importlib.import_module", missing)
    monkeypatch.setattr(ENGINES, "names", lambda: ["local", "ray"])
    with pytest.raises(MissingPackageError, match=r"pip install 'embedtune\[ray\]'"):
        Engine(EngineOptions(engine="ray")).check()


@pytest.mark.parametrize("top_k", [1, 10, 1000])
def test_the_run_is_that_of_search_here(engine, tiny_encoder, dataset, tmp_path, top_k):
    here = DenseRetriever(tiny_encoder, dataset.corpus, EmbeddingCache(None)).retrieve(dataset.queries, top_k)
    cache = EmbeddingCache(tmp_path / "cache")
    there = DenseRetriever(tiny_encoder, dataset.corpus, cache, engine=engine).retrieve(dataset.queries, top_k)
    for query_id in dataset.queries:
        assert there.document_ids(query_id) == here.document_ids(query_id)
        scores = [[document.score for document in run.rankings[query_id]] for run in (here, there)]
        assert np.allclose(*scores, atol=1e-6)


def test_vectors_lengths_and_pairs_are_those_of_the_documents(encoded, tiny_encoder, dataset):
    expected = VectorIndex(tiny_encoder.encode(list(dataset.corpus.values()), "document"), list(dataset.corpus))
    assert list(encoded.document_ids) == list(dataset.corpus)
    assert np.allclose(encoded.vectors, expected.vectors, atol=1e-6)
    rows = np.random.default_rng(0).integers(0, len(dataset.corpus), 700)
    assert np.allclose(encoded.vectors_of(rows), expected.vectors[rows], atol=1e-6)
    assert np.allclose(encoded.lengths_of(rows), expected.lengths_of(rows), atol=1e-6)
    queries = tiny_encoder.encode(list(dataset.queries.values()), "query")
    owners = np.random.default_rng(1).integers(0, len(queries), 700)
    assert np.allclose(
        encoded.pair_scores(queries, owners, rows), expected.pair_scores(queries, owners, rows), atol=1e-6
    )
    assert encoded.vectors_of(rows[:0]).shape == (0, tiny_encoder.dim)
    assert encoded.pair_scores(queries, owners[:2], np.array([-1, 3])).shape == (2,)


def test_no_queries_and_wrong_dimensions(encoded):
    assert len(encoded.search_rows(np.empty((0, 32), dtype=np.float32), 3).rows) == 0
    with pytest.raises(EvaluationError, match="query vectors have 7 dimensions, documents 32"):
        encoded.search_rows(np.zeros((2, 7), dtype=np.float32), 3)


def test_one_document_and_none(engine, tiny_encoder, tmp_path):
    for corpus in ({"只有": "一篇"}, {}):
        RetrievalDataset({"q": "?"}, corpus, {}).write(tmp_path / "d")
        texts = RetrievalDataset.read(tmp_path / "d").corpus
        if not corpus:
            with pytest.raises(EvaluationError, match="no documents to search"):
                engine.encode_corpus(tiny_encoder, texts, EmbeddingCache(tmp_path / "c"))
        else:
            found = engine.encode_corpus(tiny_encoder, texts, EmbeddingCache(tmp_path / "c"))
            assert found.search_rows(np.ones((1, 32), dtype=np.float32), 5).rows.tolist() == [[0]]


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_second_time_nothing_is_encoded_and_all_is_the_same(engine, tiny_encoder, dataset, tmp_path, precision):
    found = []
    for expected in (True, False):
        cache = EmbeddingCache(tmp_path / "cache", precision)
        found.append(np.asarray(engine.encode_corpus(tiny_encoder, dataset.corpus, cache).vectors))
        assert (cache.encoded > 0) == expected
    assert (found[0] == found[1]).all()
    assert found[0].dtype in (np.float32, np.float16)
    assert (found[0] == found[0].astype(np.float16)).all() == (precision == "float16")


def test_other_weights_get_other_vectors(engine, tiny_encoder, dataset, tmp_path, tmp_path_factory):
    from tests.conftest import build_tiny_model

    other = build_tiny_model(tmp_path_factory.mktemp("other"), seed=1)
    found = []
    for model in (engine.encoder_name, str(other)):
        used = Engine(engine.options, model, FLOAT32)
        cache = EmbeddingCache(tmp_path / "cache")
        found.append(used.encode_corpus(load_encoder(model, FLOAT32), dataset.corpus, cache).vectors)
        assert cache.encoded
    assert not np.allclose(*found, atol=1e-2)


def test_moved_documents_are_found_where_they_were_moved(name, tiny_encoder, dataset, tmp_path, monkeypatch):
    ids = tuple(list(dataset.corpus)[::20])
    vectors = np.eye(32, dtype=np.float32)[: len(ids)]
    moved = MovedDocuments(ids, vectors, tuple(text_hash(dataset.corpus[one]) for one in ids))
    tuned = TunedEncoder(tiny_encoder, None, moved)
    if name == "ray":
        monkeypatch.setattr("embedtune.search.ray_workers.load_encoder", lambda *_: tuned)
    engine = Engine(EngineOptions(engine=name, block_documents=40), "tuned", FLOAT32)
    found = engine.encode_corpus(tuned, dataset.corpus, EmbeddingCache(tmp_path / "cache"))
    rows = found.search_rows(vectors, 1).rows[:, 0]
    assert [found.document_ids[row] for row in rows] == list(ids)


@pytest.mark.parametrize("candidates", ["dense", "bm25", "hybrid"])
def test_mining_finds_the_same_negatives(engine, tiny_encoder, dataset, tmp_path, candidates):
    options = MineOptions(candidates=candidates, depth=12, positive_share=1.0)
    here = mine_negatives(dataset, tiny_encoder, split="all", options=options)
    cache = EmbeddingCache(tmp_path / "cache")
    there = mine_negatives(dataset, tiny_encoder, split="all", options=options, cache=cache, engine=engine)
    assert there.negatives == here.negatives
    assert there.dropped == here.dropped
    assert sum(map(len, here.negatives.values())) > 100


def test_an_approximate_index_is_built_over_what_the_engine_encodes(engine, tiny_encoder, dataset, tmp_path):
    cache = EmbeddingCache(tmp_path / "cache")
    retriever = DenseRetriever(tiny_encoder, dataset.corpus, cache, "faiss-hnsw", engine=engine)
    assert len(retriever.retrieve(dataset.queries, 5).rankings) == len(dataset.queries)
    assert retriever.recall > 0.6  # of many copies a graph misses some
