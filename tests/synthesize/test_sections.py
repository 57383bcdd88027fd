from __future__ import annotations

import random

from embedtune.synthesize.excerpts import crop, stands_in, telegraphic
from embedtune.synthesize.sections import find_sections


def test_markdown_headings_and_the_sentences_between_them():
    text = "# Kettles\n\nIntro here. Two.\n\n## Descaling **fast**\n\n- Use vinegar. Rinse."
    found = find_sections(text)
    assert found.headings == ["Kettles", "Descaling **fast"]
    assert found.sentences == ["Intro here.", "Two.", "Use vinegar.", "Rinse."]


def test_a_short_first_line_is_a_title_in_both_languages():
    assert find_sections("水壶除垢\n用白醋煮沸。然后冲洗。").headings == ["水壶除垢"]
    assert find_sections("水壶除垢\n用白醋煮沸。然后冲洗。").sentences == ["用白醋煮沸。", "然后冲洗。"]
    assert find_sections("How kettles work\nThey boil water.").headings == ["How kettles work"]
    assert find_sections("They boil water.\nThen they stop.").headings == []
    assert find_sections("水壶除垢").headings == []
    assert find_sections(" \n ") == ([], [])


def test_crops_begin_and_end_at_clauses():
    sentence = "In 1851, the Crystal Palace was built in Hyde Park, where it stayed until 1854."
    assert crop(sentence, 1, 8) == "In 1851"
    assert crop(sentence, 3, 12) == "In 1851, the Crystal Palace was built in Hyde Park"
    assert crop("one two three four", 5, 9) == ""
    assert crop("one two three four five six", 2, 4) == "one two three four"
    chinese = "雅芳河位于英格兰西南部，流经布里斯托，最后注入塞文河。"
    starts = {crop(chinese, 3, 6, random.Random(seed))[:2] for seed in range(20)}
    assert starts == {"雅芳", "流经", "最后"}


def test_telegraphic_leaves_out_function_words_and_keeps_negations():
    generator = random.Random(1)
    assert telegraphic("the role of CD28 in immunity is not known", 0, generator) == "role CD28 immunity not known"
    assert telegraphic("这条河在英格兰的西南部", 0, generator) == "条河英格兰西南部"
    assert telegraphic("of the", 0, generator) == "of"
    assert telegraphic("alpha beta", 0.99, generator) == "alpha"
    assert telegraphic("alpha beta", 0, generator) == "alpha beta"
    assert telegraphic("alpha beta gamma", 0, generator) == "alpha gamma"
    lengths = [len(telegraphic("a1 b2 c3 d4 e5 f6 g7 h8 i9 j0", 0.5, generator).split()) for _ in range(200)]
    assert 4 < sum(lengths) / 200 < 6


def test_stands_in_looks_past_case_width_and_blanks():
    assert stands_in("Ａ  river", "by A\nRiver bank")
    assert not stands_in("river a", "a river")
