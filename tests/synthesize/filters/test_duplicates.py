from __future__ import annotations

from embedtune.data.dataset import RetrievalDataset
from embedtune.synthesize.filters.duplicates import DuplicatesOptions, judge
from embedtune.synthesize.material import FilterModels, Material

CORPUS = {
    "kettle": "Descale the kettle with vinegar: boil equal parts of white vinegar and water, then rinse twice.",
    "水壶": "水壶除垢：用白醋和清水各一半煮沸，放一小时，再用清水冲洗两次。",
    "列车": "上海轨道交通16号线在2013年开通，由龙阳路到滴水湖。",
}
QUERIES = {
    "good": ("how do I get limescale out of a kettle", "kettle"),
    "好": ("水壶里的水垢怎么去掉", "水壶"),
    "again": ("How do I get limescale out of a kettle??", "kettle"),
    "nearly": ("how do I get the limescale out of a kettle", "kettle"),
    "16": ("上海的轨道交通16号线是在哪一年建成并开通的？", "列车"),
    "17": ("上海的轨道交通17号线是在哪一年建成并开通的？", "水壶"),
    "equal": ("水壶里的水垢怎么去掉？", "列车"),
    "copy": ("boil equal parts of white vinegar and water", "kettle"),
    "抄": ("用白醋和清水各一半煮沸，放一小时", "水壶"),
    "points": ("what does the text say about vinegar", "kettle"),
    "指": ("根据上文，水壶要冲洗几次？", "水壶"),
    "language": ("how often should I rinse it", "水壶"),
    "short": ("kettle", "kettle"),
    "短": ("水壶？", "水壶"),
    "long": ("why does " + "my kettle take so long to boil and " * 15 + "boil", "kettle"),
}


def codes(**options):
    dataset = RetrievalDataset(
        {query_id: text for query_id, (text, _) in QUERIES.items()},
        CORPUS,
        {query_id: [document_id] for query_id, (_, document_id) in QUERIES.items()},
    )
    judgement = judge(Material(dataset, list(QUERIES), FilterModels()), DuplicatesOptions(**options))
    assert not judgement.relabelled
    return {query_id: drop.code for query_id, drop in judgement.dropped.items()}


def test_each_fault_has_its_code():
    assert codes() == {
        "again": "near-identical",
        "nearly": "near-identical",
        "equal": "near-identical",
        "copy": "copy",
        "抄": "copy",
        "points": "points-to-text",
        "指": "points-to-text",
        "language": "wrong-language",
        "short": "too-short",
        "短": "too-short",
        "long": "too-long",
    }


def test_each_rule_can_be_turned_off():
    assert "copy" not in codes(copied=1.5).values()
    assert "points-to-text" not in codes(pointing=False).values()
    assert "wrong-language" not in codes(same_language="off").values()
    assert not {"too-short", "too-long"} & set(codes(fewest_words=0, most_words=1000).values())
    assert "nearly" not in codes(alike=1)


def test_a_dropped_query_isnt_the_one_that_is_kept_of_a_group():
    found = codes(most_words=5)
    assert found["good"] == found["nearly"] == "too-long"
