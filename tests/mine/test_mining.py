from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.conftest import build_tiny_model
from tests.mine.placed import Placed

from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import OptionsError
from embedtune.evaluate.false_negatives import diagnose
from embedtune.mine.mining import mine_negatives
from embedtune.mine.options import MineOptions
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.moved_documents import MovedDocuments, text_hash
from embedtune.models.tuned_encoder import TunedEncoder
from embedtune.search.bm25 import BM25Retriever
from embedtune.search.dense import DenseRetriever


@pytest.fixture
def dataset():
    return RetrievalDataset(
        queries={"q": "question", "same": "question ", "unjudged": "other"},
        corpus={
            "positive": "p1",
            "weaker positive": "p2",
            "copy": " p1",
            "elsewhere": "p3",
            "nearly": "n1",
            "hard": "n2",
            "harder": "n3",
            "easy": "n4",
        },
        relevant_docs={"q": ["positive", "weaker positive"], "same": ["elsewhere"]},
        queries_split={"train": ["q", "unjudged"], "test": ["same"]},
    )


COSINES = {"p1": 0.9, "p2": 0.8, " p1": 0.9, "p3": 0.7, "n1": 0.77, "n3": 0.6, "n2": 0.5, "n4": 0.1}


def test_hardest_first_and_never_a_positive(dataset):
    report = mine_negatives(dataset, Placed(COSINES))
    assert report.negatives == {"q": ["harder", "hard", "easy"]}
    assert report.known_positives_dropped == 4
    assert report.probable_positives_dropped == 1
    assert report.queries_without_negatives == 0


def test_the_share_is_of_the_lowest_scored_positive(dataset):
    lenient = mine_negatives(dataset, Placed(COSINES), options=MineOptions(positive_share=0.97))
    assert lenient.negatives["q"][0] == "nearly"
    strict = mine_negatives(dataset, Placed(COSINES), options=MineOptions(positive_share=0.7))
    assert strict.negatives["q"] == ["hard", "easy"]


def test_depth_and_number(dataset):
    shallow = mine_negatives(dataset, Placed(COSINES), options=MineOptions(depth=5, fill_up=False))
    assert shallow.negatives["q"] == []
    assert shallow.queries_without_negatives == 1
    assert mine_negatives(dataset, Placed(COSINES), options=MineOptions(negatives=1)).negatives["q"] == ["harder"]


def test_a_positive_that_scores_below_zero(dataset):
    cosines = COSINES | {"p2": -0.2, "n4": -0.195}
    report = mine_negatives(dataset, Placed(cosines))
    assert report.negatives["q"] == []


def test_real_encoder_on_the_sample(sample, tiny_encoder):
    report = mine_negatives(sample, tiny_encoder, options=MineOptions(negatives=3))
    assert set(report.negatives) == set(sample.queries_split["train"])
    for query_id, negatives in report.negatives.items():
        assert not set(negatives) & set(sample.positives(query_id))


def test_where_each_negative_came_from_is_recorded(dataset):
    report = mine_negatives(dataset, Placed(COSINES), options=MineOptions(depth=5))
    assert report.negatives["q"] == ["harder", "hard", "easy"]
    assert [found.source for found in report.mined["q"]] == ["deeper", "deeper", "deeper"]
    assert [found.rank for found in report.mined["q"]] == [6, 7, 8]
    assert [found.score for found in report.mined["q"]] == pytest.approx([0.6, 0.5, 0.1])
    assert report.sources == {"deeper": 3}
    assert report.rank_histogram() == [("5-9", 3)]
    assert sum(negatives for _, _, negatives, _ in report.score_histogram()) == 3
    assert report.positive_scores == {"q": pytest.approx(0.8)}


def test_the_other_rules(dataset):
    def mined(**options):
        return mine_negatives(dataset, Placed(COSINES), options=MineOptions(fill_up=False, **options)).negatives["q"]

    assert mined(strategy="absolute-margin", margin=0.02) == ["nearly", "harder", "hard", "easy"]
    assert mined(strategy="absolute-margin", margin=0.25) == ["hard", "easy"]
    assert mined(strategy="score-range", min_score=0.3, max_score=0.55) == ["hard"]
    assert mined(strategy="rank-window") == ["nearly", "harder", "hard", "easy"]
    assert mined(strategy="rank-window", from_=6, to=7) == ["hard"]
    assert mined(strategy="rank-window", negatives=2) == ["nearly", "harder"]


def test_options_that_contradict_each_other_are_refused(dataset):
    with pytest.raises(OptionsError, match="no rank lies between --from 50"):
        mine_negatives(dataset, Placed(COSINES), options=MineOptions(from_=50))
    with pytest.raises(OptionsError, match="has no range"):
        mine_negatives(dataset, Placed(COSINES), options=MineOptions(strategy="score-range"))


def test_samples_are_drawn_by_seed_and_query(dataset):
    def mined(seed):
        options = MineOptions(strategy="rank-window", sample=2, seed=seed)
        return mine_negatives(dataset, Placed(COSINES), options=options).negatives["q"]

    assert mined(1) == mined(1)
    assert len(mined(1)) == 2
    assert len({tuple(mined(seed)) for seed in range(8)}) > 1
    assert set().union(*(mined(seed) for seed in range(8))) == {"nearly", "harder", "hard", "easy"}


def test_near_duplicates_and_empty_texts_are_out():
    text = "the kettle is full of lime and vinegar takes it away within half an hour if you boil it once and wait"
    dataset = RetrievalDataset(
        queries={"q": "lime in the kettle"},
        corpus={"p": text, "near": text + " today", "shouted": text.upper(), "other": "iron a shirt", "empty": " "},
        relevant_docs={"q": ["p"]},
        queries_split={"train": ["q"]},
    )
    cosines = {text: 0.9, text + " today": 0.8, text.upper(): 0.8, "iron a shirt": 0.3, " ": 0.4}
    report = mine_negatives(dataset, Placed(cosines))
    assert report.negatives == {"q": ["other"]}
    assert report.dropped["near-duplicate"] == 2
    assert report.dropped["empty text"] == 1


def test_what_only_a_leaked_query_tells_is_out_and_said():
    dataset = RetrievalDataset(
        queries={"a": "how do I remove lime from a kettle", "b": "how do I remove lime from a kettle?", "c": "iron"},
        corpus={"vinegar": "d1", "citric acid": "d2", "shirt": "d3"},
        relevant_docs={"a": ["vinegar"], "b": ["citric acid"], "c": ["shirt"]},
        queries_split={"train": ["a", "c"], "test": ["b"]},
    )
    report = mine_negatives(dataset, Placed({"d1": 0.9, "d2": 0.5, "d3": 0.3}))
    assert report.negatives["a"] == ["shirt"]
    assert report.leaks == [("a", "b")]
    assert report.dropped["leaked positive"] == 1
    assert report.known_positives_dropped == 3


def test_bm25_and_fused_candidates(sample, tiny_encoder):
    query_id = sample.queries_split["train"][0]
    run = BM25Retriever(sample.corpus).retrieve({query_id: sample.queries[query_id]}, 30)
    wanted = [d for d in run.document_ids(query_id) if d not in sample.positives(query_id)][:3]
    options = MineOptions(candidates="bm25", strategy="rank-window", negatives=3)
    report = mine_negatives(sample, tiny_encoder, options=options)
    assert report.negatives[query_id][: len(wanted)] == wanted
    assert {found.source for found in report.mined[query_id][: len(wanted)]} == {"bm25"}
    fused = mine_negatives(sample, tiny_encoder, options=MineOptions(candidates="hybrid", strategy="rank-window"))
    assert set(fused.sources) <= {"hybrid", "deeper", "random"}
    assert all(len(documents) == 7 for documents in fused.negatives.values())


def test_fills_up_by_terms_and_at_random(sample, tiny_encoder):
    options = MineOptions(depth=1, strategy="rank-window", negatives=20)
    report = mine_negatives(sample, tiny_encoder, options=options)
    assert set(report.sources) >= {"dense", "deeper"}
    assert all(len(set(documents)) == len(documents) for documents in report.negatives.values())
    assert report == mine_negatives(sample, tiny_encoder, options=options)
    assert any(source in report.sources for source in ("random", "bm25 fill-up"))


def test_a_query_without_negatives_is_kept_and_counted(dataset):
    report = mine_negatives(dataset, Placed(dict.fromkeys(COSINES, 0.9)))
    assert report.negatives == {"q": []}
    assert report.queries_without_negatives == 1


def test_prompts_are_those_of_evaluation(sample, tiny_model):
    plain = load_encoder(tiny_model, EncoderOptions(precision="float32"))
    prompted = load_encoder(tiny_model, EncoderOptions(precision="float32", query_instruction="查询："))
    options = MineOptions(strategy="rank-window", negatives=3)
    report = mine_negatives(sample, prompted, options=options)
    query_id = sample.queries_split["train"][0]
    run = DenseRetriever(prompted, sample.corpus, EmbeddingCache(None)).retrieve({"q": sample.queries[query_id]}, 30)
    wanted = [d for d in run.document_ids("q") if d not in sample.positives(query_id)][:3]
    assert report.negatives[query_id] == wanted
    assert report.negatives != mine_negatives(sample, plain, options=options).negatives


def test_another_checkpoint_in_a_local_folder_gets_its_own_negatives(sample, tmp_path):
    """sentence-transformers' cache_folder serves the first checkpoint's vectors to the second."""
    cache = EmbeddingCache(tmp_path / "cache")
    mined = []
    for seed in (0, 1):
        encoder = load_encoder(build_tiny_model(tmp_path / str(seed), seed=seed), EncoderOptions(precision="float32"))
        mined.append(mine_negatives(sample, encoder, cache=cache).negatives)
        assert mined[-1] == mine_negatives(sample, encoder).negatives
    assert mined[0] != mined[1]


def test_from_the_second_run_on_nothing_is_encoded(sample, tiny_encoder, tmp_path):
    first = mine_negatives(sample, tiny_encoder, cache=EmbeddingCache(tmp_path))
    cache = EmbeddingCache(tmp_path)
    assert mine_negatives(sample, tiny_encoder, cache=cache, options=MineOptions(depth=50)).mined.keys() == (
        first.mined.keys()
    )
    assert cache.encoded == 0


def test_a_split_without_relevant_documents_gets_nothing(dataset):
    report = mine_negatives(replace(dataset, queries_split={"train": ["unjudged"]}), Placed(COSINES))
    assert report.negatives == {}
    assert report.to_json()["scores"] == []


def test_texts_without_terms_are_filled_up_all_the_same():
    texts = {"p": "!", "a": "?", "b": "…", "c": "%"}
    dataset = RetrievalDataset({"q": "."}, texts, {"q": ["p"]}, queries_split={"train": ["q"]})
    cosines = {"!": 0.9, "?": 0.3, "…": 0.2, "%": 0.1}
    report = mine_negatives(dataset, Placed(cosines), options=MineOptions(depth=2))
    assert report.negatives == {"q": ["a", "b", "c"]}


def test_documents_moved_by_nudge_are_mined_where_they_moved(dataset):
    """`easy` was moved beside the query, so it is no negative any more, and the doctor sees it there."""
    beside = np.array([[1.0, 0.0]], dtype=np.float32)
    moved = MovedDocuments(("easy",), beside, (text_hash(dataset.corpus["easy"]),))
    encoder = TunedEncoder(Placed(COSINES), None, moved)
    assert mine_negatives(dataset, encoder).negatives == {"q": ["harder", "hard"]}
    diagnosed = [diagnose(dataset, {"q": ["easy"]}, given) for given in (encoder, encoder.base)]
    assert [found.under for found in diagnosed if found is not None] == [1, 0]
