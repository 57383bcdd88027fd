from __future__ import annotations

import random

import pytest

from embedtune.data.groups import connected_groups
from embedtune.data.near_duplicates import near_duplicate_groups, shingles


def test_finds_copies_with_small_changes_in_both_languages(sample):
    texts = list(sample.corpus.values())
    copies = [texts[0].replace("vinegar", "VINEGAR"), texts[14].replace("最后慢慢充气", "最后再慢慢充气")]
    groups = near_duplicate_groups(texts + copies, threshold=0.7)
    assert groups == [[0, len(texts)], [14, len(texts) + 1]]


def test_different_texts_are_in_no_group(sample):
    assert near_duplicate_groups(list(sample.corpus.values()), threshold=0.5) == []
    assert near_duplicate_groups([]) == []
    assert near_duplicate_groups(["one"]) == []


def test_equal_texts_and_order():
    assert near_duplicate_groups(["b b b", "a", "b b b", "A"]) == [[0, 2], [1, 3]]


def test_chinese_is_cut_by_characters_and_english_by_words():
    assert "with equal parts" in shingles("fill it with equal parts of water and vinegar")
    assert "倒入等量的" in shingles("倒入等量的水和白醋，烧开后静置半小时")


@pytest.mark.parametrize(("length", "threshold"), [("long", 0.8), ("short", 0.75)])
def test_finds_what_comparing_every_pair_finds(sample, length, threshold):
    chooser = random.Random(7)
    texts = list((sample.corpus if length == "long" else sample.queries).values())
    for _ in range(150):
        text = list(chooser.choice(texts))
        text[chooser.randrange(len(text))] = chooser.choice("xyz的了是 ")
        texts.append("".join(text))
    pieces = [shingles(text, length) for text in texts]
    links = [
        (i, j)
        for j in range(len(texts))
        for i in range(j)
        if len(pieces[i] & pieces[j]) >= threshold * len(pieces[i] | pieces[j])
    ]
    expected = [group for group in connected_groups(len(texts), links) if len(group) > 1]
    assert expected
    assert near_duplicate_groups(texts, threshold, length) == expected


def test_many_equal_texts_are_one_group():
    assert near_duplicate_groups(["the same text here", "another"] * 200) == [
        list(range(0, 400, 2)),
        list(range(1, 400, 2)),
    ]
