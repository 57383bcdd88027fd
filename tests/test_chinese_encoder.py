"""The benchmark that trains a Chinese encoder from nothing, on tiny collections."""

from __future__ import annotations

import pytest
from benchmarks import chinese_encoder

from embedtune import RetrievalDataset, load_encoder

TEXTS = {
    "a": "陆特和汉斯雷顿开创了梵语的学术研究。后来威廉琼斯发现了印欧语系，贡献也很大。",
    "b": "高血压病人应当少吃盐，每天早晚测量血压。降压药不能自己停用，要听医生的安排。",
    "c": "地铁二号线今天起延长运营时间，末班车改为零点发车。市民可以在网上查询新的时刻表。",
    "d": "微波炉不能加热金属容器，金属会产生火花。陶瓷和玻璃容器可以放心使用。",
    "e": "熊猫主要吃竹子，一天要吃十几公斤。它们住在四川的山里，冬天也不冬眠。",
}
QUERIES = {
    "qa": "谁开创了梵语研究？",
    "qb": "高血压能停药吗？",
    "qc": "地铁末班车几点？",
    "qd": "微波炉能放金属吗？",
    "qe": "四川的熊猫吃竹子吗？",
}


@pytest.fixture
def collections(tmp_path):
    """The same five pairs in each collection: three to train on, one in val, one in test."""
    for name in chinese_encoder.SEEN:
        dataset = RetrievalDataset(
            queries=QUERIES,
            corpus=TEXTS,
            relevant_docs={query: [query[1]] for query in QUERIES},
            queries_split={"train": ["qa", "qb", "qc"], "val": ["qd"], "test": ["qe"]},
        )
        (tmp_path / name).mkdir()
        dataset.write(tmp_path / name / "dataset.json")
    return tmp_path


def test_what_val_and_test_queries_are_about_is_not_seen(collections):
    seen = chinese_encoder.material(collections)
    assert set(seen.documents) == {TEXTS["a"], TEXTS["b"], TEXTS["c"]}
    assert {(query, seen.documents[position]) for query, position in seen.pairs} == {
        (QUERIES["qa"], TEXTS["a"]),
        (QUERIES["qb"], TEXTS["b"]),
        (QUERIES["qc"], TEXTS["c"]),
    }


def test_both_scripts_share_their_concepts():
    words = chinese_encoder.vocabulary(["开创研究。", "开创学校。", "开创！"])
    concept = dict(zip(words.tokens, words.concept_of.tolist(), strict=True))
    assert concept["开创"] == concept["開創"] == concept["##開創"]
    assert concept["开"] == concept["開"] != concept["开创"]


@pytest.mark.slow
def test_the_encoder_loads_and_finds_in_both_scripts(collections):
    out = collections / "encoder"
    chinese_encoder.build(collections, out, steps=2, seed=42)
    encoder = load_encoder(out)
    documents = encoder.encode(list(TEXTS.values()), "document")
    questions = [*QUERIES.values(), *map(chinese_encoder.TRADITIONAL.convert, QUERIES.values())]
    found = (encoder.encode(questions, "query") @ documents.T).argmax(axis=1).tolist()
    assert found == [0, 1, 2, 3, 4] * 2
    assert encoder.max_length == chinese_encoder.MAX_LENGTH
