from __future__ import annotations

import pytest

from embedtune.synthesize.query_faults import copied_share, length_in_words, pointing_words, wrong_language

POINTING = [
    "What does the passage say about kettles?",
    "according to the text, who won?",
    "What is described in this article?",
    "Which method is mentioned above?",
    "根据上文，莱索托哪一年独立？",
    "本文的作者是谁？",
    "文中提到的河流有哪些？",
    "该段主要讲了什么？",
    "文中提及，什麼可以由資訊所減少?",
    "依據文章，誰贏了？",
]
STANDING_ALONE = [
    "how do I cite an article in APA",
    "who signed the document of surrender",
    "context free grammar",
    "what is the text editor vim",
    "渗透一词在英文中的意思是什么？",
    "语文教材里的古文有哪些？",
    "上海到北京的高铁要多久",
    "這條河在哪裡？",
]


@pytest.mark.parametrize("query", POINTING)
def test_finds_queries_that_point_to_a_text(query):
    assert pointing_words(query)


@pytest.mark.parametrize("query", STANDING_ALONE)
def test_leaves_queries_that_stand_alone(query):
    assert pointing_words(query) is None


def test_the_words_that_point_are_named():
    assert pointing_words("根据上文，谁赢了？") == "上文"
    assert pointing_words("So, in this passage who won?") == "in this passage"


def test_copied_share_is_of_the_longest_run():
    assert copied_share("Boil the Water", "First boil  the water, then wait.") == 1
    assert copied_share("用白醋煮沸几次", "水壶用白醋煮沸即可") == pytest.approx(5 / 7)
    assert copied_share("", "anything") == 0


def test_a_chinese_word_has_two_characters():
    assert length_in_words("how to descale 水壶") == 4
    assert length_in_words("？") == 0


CHINESE = "白岳峰（백악봉）是韩国足球运动员，司职前锋，现效力于全北现代。" * 4


@pytest.mark.parametrize(
    ("query", "document", "wrong"),
    [
        ("白岳峰踢什么位置？", CHINESE, False),
        ("what position does he play", CHINESE, True),
        ("白岳峰踢什么位置？", "He is a footballer. He plays as a forward.", True),
        ("oracle sql", "用 Oracle SQL 怎么查时间格式", False),
        ("illegalargumentexception是什么异常", "这是一个运行时异常，参数不合法时抛出。", False),
        ("2008", CHINESE, False),
        ("資訊是什麼", "信息是事物运动的状态。", False),
        ("hello there", "你好。" * 30 + "Hello there, it says on the door of the house. " * 3, False),
    ],
)
def test_wrong_language(query, document, wrong):
    assert bool(wrong_language(query, document)) == wrong


def test_scripts_of_chinese_are_told_apart_only_if_asked():
    traditional, simplified = "資訊是事物運動的狀態。", "信息是什么运动状态？"
    assert wrong_language(simplified, traditional) is None
    found = wrong_language(simplified, traditional, scripts=True)
    assert found == ("Chinese (simplified)", "Chinese (traditional)")
    assert wrong_language("水", traditional, scripts=True) is None
