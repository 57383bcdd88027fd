from __future__ import annotations

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
