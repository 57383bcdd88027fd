"""The fast path gives what the exact one gives, and steps aside where it can't tell."""

from __future__ import annotations

import json

import pytest

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.json_parser import _parse_exactly, _parse_fast
from embedtune.data.json_writer import json_pieces

ODD_BUT_RIGHT = [
    '{"a": "x\\": y", "b": {"c": [1, 2.0, -0.0, 1e3, null, true, {"d": "e"}]}}',
    '{"a" : 1}',
    '{"ends in a backslash\\\\": 1, "b": "say \\":\\" twice"}',
    '{"n": NaN}',
    '{"half": "\\ud800"}',
    '{"big": 123456789012345678901234567890}',
    "{}",
    '{"a": ": begins with a colon"}',
    "7",
]


@pytest.mark.parametrize("text", ODD_BUT_RIGHT)
def test_fast_equals_exact_or_steps_aside(text, tmp_path):
    fast = _parse_fast(memoryview(text.encode()))
    if fast is not None:
        assert repr(fast) == repr(_parse_exactly(memoryview(text.encode()), tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a" : 1, "a": 2}',
        '{"a"  : 1, "b": 2, "b": 3}',
        '{"a" \n : 1, "b": 2, "b": 3}',
        '{"a"    : 1, "b": 2, "b": 3}',
        '{"a": ":", "b": 2, "b": 3}',
        '{"a": "  : x", "a": ": y"}',
        '{"a": "\\u003a", "b": 2, "b": 3}',
        '{"a": "\\n:", "b": 2, "b": 3}',
        '{"ends in:": 1, "b": 2, "b": 3}',
        '{"a": ": the", "b": 2, "b": 3}',
        '{"a": ":true", "b": 2, "b": 3}',
        '{"a": ":\\n1", "b" : null, "b": false}',
        '{"a\\\\" : 1, "b": 2, "b": 3}',
        '{"x": {"a": 1, "b": 2, "a": 3}}',
        '{"a\\\\": 1, "b": 1, "b": 2}',
        '{"a": "\\":", "b": 1, "b": 2}',
        '{"a"\n: 1, "b": [{"c": 1, "c": 2}]}',
    ],
)
def test_a_repeated_key_is_never_parsed_fast(text, tmp_path):
    assert _parse_fast(memoryview(text.encode())) is None
    assert len(_parse_exactly(memoryview(text.encode()), tmp_path)[1]) == 1


def test_what_people_write_is_parsed_fast(sample_fields):
    odd = {
        "corpus": {
            "a": ":true",
            "b": ": 1",
            "c": ": the",
            "d": ": begins with a colon",
            "e": 'says "this": that',
            "f": "\\",
            "g:": [" : ", {"h": "\n:"}],
        }
    }
    for value in (sample_fields, odd):
        for raw in (
            json.dumps(value),
            json.dumps(value, indent=2, ensure_ascii=False),
            json.dumps(value, separators=(" ,", " : ")),
        ):
            assert _parse_fast(memoryview(raw.encode())) == (value, [])


def test_pieces_are_what_json_would_write(sample_fields):
    for fields in ({}, sample_fields, sample_fields | {"negative_docs": {}, "版本": [1, {"a": "b\nc"}], "x": None}):
        assert "".join(json_pieces(fields)) == json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        assert "".join(json_pieces(fields, indented=True)) == json.dumps(fields, ensure_ascii=False, indent=1)


def test_half_a_surrogate_pair_survives(tmp_path):
    torn = RetrievalDataset({"q": "half \ud83d"}, {"d": "text"}, {"q": ["d"]})
    torn.write(tmp_path / "a.json")
    assert RetrievalDataset.read(tmp_path / "a.json") == torn
