from __future__ import annotations

import json
from collections import Counter

from pydantic import BaseModel, Field
from tests.language.damages import corpus

from embedtune.language.parsing import parse_reply
from embedtune.synthesize.acceptance import WrittenQueries


class Judged(BaseModel):
    relevance: int = Field(ge=0, le=3)
    reason: str = ""


def saved(text):
    value = parse_reply(text, WrittenQueries).value
    return [] if value is None else [(one.query, one.answer) for one in value.queries]


def texts_of(pair):
    return pair["query"].strip(), pair["answer"].strip()


def test_whole_pairs_survive_whatever_happens_around_them():
    """Over a thousand damaged replies: at least 99.5 % of the intact pairs come out as they were written."""
    intact = kept = 0
    lost, invented = Counter(), Counter()
    replies = list(corpus())
    for reply in replies:
        found = saved(reply.text)
        for pair in reply.intact:
            intact += 1
            kept += texts_of(pair) in found
            lost[reply.damage] += texts_of(pair) not in found
        known = {texts_of(pair) for pair in reply.pairs}
        invented[reply.damage] += sum(one not in known for one in found)
    assert len(replies) > 1000
    assert intact > 2500
    assert kept / intact >= 0.995, +lost
    assert sum(invented.values()) / intact <= 0.005, +invented


def test_half_a_text_is_never_taken():
    whole = json.dumps({"queries": [{"query": "Where is north?", "answer": "Where moss grows, they say."}]})
    for end in range(len(whole) - 4):
        assert saved(whole[:end]) in ([], [("Where is north?", "Where moss grows, they say.")])
    assert saved(whole[: whole.index("moss")]) == []


def test_the_last_of_several_answers_counts():
    text = '{"relevance": 1} Hm, on reflection:\n```json\n{"relevance": 3, "reason": "it says so"}\n```'
    assert parse_reply(text, Judged).value == Judged(relevance=3, reason="it says so")


def test_a_single_object_is_mended_too():
    assert parse_reply('{"relevance": 2, "reason": "because}', Judged).value == Judged(relevance=2, reason="because")
    assert parse_reply('{"relevance": 9}', Judged).value is None
    assert parse_reply("relevance is high", Judged).value is None


def test_what_cannot_be_read_says_why():
    assert parse_reply("  ", Judged).problem == "the reply is empty"
    assert parse_reply("no", Judged).problem == "no JSON in the reply"
    assert "relevance: Input should be less than or equal to 3" in parse_reply('{"relevance": 9}', Judged).problem
    assert parse_reply("{" * 20_000 + "[" * 20_000, WrittenQueries).value is None
