from __future__ import annotations

import pytest

from embedtune.data.encoding import find_misreading

CHINESE = "绿茶不宜用沸水冲泡，水温七十到八十度。"


def test_real_texts_are_not_misread(sample):
    fine = ["", "naïve café, “quoted” – 20 °C, £5, Ångström, ÀÉÎÕÜ", "零售价￥35", "鋅與鐵的反應", "テスト"]
    for text in [*fine, *sample.corpus.values(), *sample.queries.values()]:
        assert find_misreading(text) is None, text


@pytest.mark.parametrize(
    ("text", "what", "repaired"),
    [
        (CHINESE.encode().decode("latin-1"), "UTF-8 read as Latin-1", CHINESE),
        ("the worldâ€™s largest", "UTF-8 read as Latin-1", "the world’s largest"),
        (CHINESE.encode("gbk").decode("latin-1"), "GBK read as Latin-1", CHINESE),
        ((CHINESE + "好")[1:].encode().decode("gb18030", "ignore"), "UTF-8 read as GBK", None),
        ("水温七十到".encode().decode("gbk", "replace"), "UTF-8 read as GBK", None),
        ("水温七十".encode().decode("gbk"), "UTF-8 read as GBK", "水温七十"),
        (CHINESE.encode("gbk").decode("utf-8", "replace"), "GBK or another encoding read as UTF-8", None),
        ("half \ud83d", "half of a surrogate pair", None),
    ],
)
def test_misread_texts_are_known_and_repaired(text, what, repaired):
    found = find_misreading(text)
    assert found is not None
    assert found.what == what
    if repaired is not None:
        assert found.repaired == repaired


def test_a_lost_character_is_not_a_misreading():
    assert find_misreading(f"{CHINESE}\ufffd") is None
