from __future__ import annotations

import pytest

from embedtune.evaluate.causes import Asked, CauseFinder, Miss, kept_by, misses

EN_BEES = (
    "Honey bees tell each other where flowers are by a dance: the angle to the vertical gives the direction "
    "from the sun, and the length of the waggle gives the distance to the flowers."
)
ZH_TRAIN = "高铁车票在开车前八天以上退票不收手续费，四十八小时以上收取票价的百分之五，不足二十四小时收取票价的两成。"


def causes(query, relevant, above, *, answer="", kept=None, agreed=None):
    """Returns the causes where one text stands above the relevant one."""
    finder = CauseFinder({"r": relevant, "x": above}, kept)
    return finder.causes(Asked(query, ["r"], answer), ["x", "r"], agreed)


def first_words(count):
    return lambda text: " ".join(text.split()[:count])


def test_what_stands_above_a_relevant_document():
    ranking = ["a", "r1", "b", "r2"]
    assert misses(ranking, ["r1", "r2"]) == [Miss("r1", ("a",)), Miss("r2", ("a", "b"))]
    assert misses(ranking, ["gone"]) == [Miss("gone", ("a", "r1", "b", "r2"))]
    assert misses(["r1", "r2", "a"], ["r1", "r2"]) == []
    assert misses([], ["r1"]) == []
    assert misses(["r1"], ["r1", "gone"]) == []


@pytest.mark.parametrize("query", ["how do bees dance", "蜜蜂怎么跳舞"])
def test_nothing_is_said_of_a_query_that_did_not_fail(query):
    finder = CauseFinder({"r": EN_BEES, "x": EN_BEES})
    assert finder.causes(Asked(query, ["r"]), ["r", "x"]) == ()


def test_cut_where_the_terms_come_after_the_limit():
    text = "Terms of sale. Delivery takes a week. Refunds are paid within fourteen days."
    query, above = "refunds within fourteen days", "The museum opens at nine."
    assert "cut" in causes(query, text, above, kept=first_words(7))
    assert "cut" not in causes(query, text, above, kept=first_words(50))
    assert "cut" not in causes("delivery week", text, above, kept=first_words(7))
    assert "cut" not in causes(query, text, above)


def test_cut_by_the_reference_answer_in_chinese():
    def kept(text):
        return text[:20]

    assert "cut" in causes("退票手续费", ZH_TRAIN, "绿茶不宜用沸水冲泡。", answer="票价的两成", kept=kept)
    assert "cut" not in causes("退票手续费", ZH_TRAIN, "绿茶不宜用沸水冲泡。", answer="八天以上", kept=kept)


def test_likely_false_negative_by_terms():
    query = "angle of the honey bees dance and the sun"
    other = "When honey bees dance, the angle they keep to gravity is the one between food and sun."
    assert "false-negative" in causes(query, EN_BEES, other)
    assert "false-negative" in causes(query, EN_BEES, other, agreed={"x"})
    assert "false-negative" not in causes(query, EN_BEES, other, agreed=set())
    assert "false-negative" not in causes(query, EN_BEES, "Bees make honey in summer.")


def test_likely_false_negative_by_the_reference_answer():
    relevant, above = "首都是北京，人口两千万。", "这座城市叫北京市朝阳区。"
    assert "false-negative" in causes("中国首都在哪里", relevant, above, answer="北京市")
    assert "false-negative" not in causes("中国首都在哪里", relevant, "上海在长江口。", answer="北京市")
    assert "false-negative" not in causes("北京市在哪里", relevant, above, answer="北京市")


@pytest.mark.parametrize("text", [EN_BEES, ZH_TRAIN])
def test_near_duplicate_above(text):
    assert "near-duplicate" in causes("q", text, text + "!")
    assert "near-duplicate" in causes("q", text, "  " + text.upper())
    assert "near-duplicate" not in causes("q", text, text[::-1])
    assert "near-duplicate" not in causes("q", text, text[: len(text) // 2])


def test_wrong_language():
    assert "language" in causes("how do bees dance", EN_BEES, ZH_TRAIN)
    assert "language" in causes("高铁退票要多少钱", EN_BEES, ZH_TRAIN)
    assert "language" not in causes("高铁退票要多少钱", ZH_TRAIN, "绿茶不宜用沸水冲泡，会有苦味。")
    assert "language" not in causes("429", EN_BEES, ZH_TRAIN)
    assert "language" not in causes("人工", "人工", ZH_TRAIN), "a text that could be either kind of Chinese"


def test_lexical_mismatch():
    assert "lexical" in causes("how do insects talk about nectar sources", EN_BEES, "Insects talk about nectar a lot.")
    assert "lexical" in causes("坐火车改主意要罚款吗", ZH_TRAIN, "火车司机要坐着开火车。")
    assert "lexical" not in causes("高铁车票退票手续费", ZH_TRAIN, "火车司机要坐着开火车。")
    assert "lexical" not in causes("insects nectar", EN_BEES, "The museum opens at nine."), "no words are shared above"


def test_causes_come_in_their_order():
    query = "how do insects find nectar"
    assert causes(query, ZH_TRAIN + EN_BEES, "Insects find nectar by smell.", kept=lambda text: text[:5]) == (
        "language",
        "lexical",
    )


def test_kept_is_the_longest_beginning_within_the_limit():
    calls = []

    def count(texts):
        calls.append(texts)
        return [len(text.split()) for text in texts]

    kept = kept_by(count, 3)
    assert kept("one two three four five").split() == ["one", "two", "three"]
    assert kept("one two") == "one two"
    asked = len(calls)
    assert kept("one two") == "one two"
    assert len(calls) == asked, "remembered"
