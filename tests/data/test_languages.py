from __future__ import annotations

import pytest

from embedtune.data.languages import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("what does status code 429 mean", "Latin script"),
        ("镀锌为什么能防锈", "Chinese (simplified)"),
        ("鍍鋅為什麼能防鏽", "Chinese (traditional)"),
        ("人口多少", "Chinese"),
        ("iPhone 手机为什么没声音 Bluetooth", "Chinese (simplified)"),
        ("The word 茶 means tea in Chinese", "Latin script"),
        ("日本語のテスト文章です", "Japanese"),
        ("한국어 문장입니다", "Korean"),
        ("вопрос по-русски", "Cyrillic script"),
        ("12345 ?!", "no letters"),
        ("", "no letters"),
    ],
)
def test_language_of(text, language):
    assert language_of(text) == language
