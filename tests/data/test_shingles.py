from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from embedtune.data.shingles import normalise_text, shingle_hashes, shingles

ODD = [
    "",
    " ",
    "a",
    "a b",
    "a  b\tc\nd",
    "ＡＢＣ  全角",
    "!?",
    "一",
    "上海轨道交通16号线在2010年改名为什么？",
    "a\0b",
    "x" * 40,
    "\ud800 half",
]


@pytest.mark.parametrize("length", ["long", "short"])
def test_hashes_tell_apart_what_the_pieces_tell_apart(sample, length):
    texts = [*ODD, *sample.corpus.values(), *sample.queries.values()]
    hashes, offsets = shingle_hashes(texts, length)
    rows = [hashes[offsets[i] : offsets[i + 1]] for i in range(len(texts))]
    pieces = [shingles(text, length) for text in texts]
    assert [len(np.unique(row)) for row in rows] == [len(own) for own in pieces]
    shared = [(i, j) for i in range(len(texts)) for j in range(i)]
    for i, j in shared:
        assert len(np.intersect1d(rows[i], rows[j])) == len(pieces[i] & pieces[j]), (texts[i], texts[j])


def test_short_texts_are_compared_without_marks_and_width():
    assert shingles("Ｗhat’s  this?", "short") == shingles("what s this", "short")
    assert shingles("大潮是什么时候？", "short") == shingles("大潮是什么时候", "short")
    assert shingles("鍍鋅為什麼能防鏽", "short").isdisjoint(shingles("镀锌为什么能防锈", "short") - {"能防"})


def test_normalising_is_unicode_nfkc(sample):
    for text in [*ODD, *sample.corpus.values(), "１２％～…　（ａ）；：！？，", "e\u0301，\u0301 ﬁ ① ㍿"]:
        expected = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
        assert normalise_text(text) == expected
