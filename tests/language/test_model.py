"""LanguageModel against a real server on loopback, in good and bad health."""

from __future__ import annotations

import json
import time

import pytest
from pydantic import BaseModel, Field
from tests.language.chat_server import Answer, ChatServer, refusal

from embedtune.errors import LanguageError, OptionsError
from embedtune.language.chat import ChatRequest
from embedtune.language.model import LanguageModel
from embedtune.language.options import LanguageOptions

SECRET = "sk-secret-0123456789"  # noqa: S105


class Pair(BaseModel):
    query: str = Field(min_length=1)
    answer: str = Field(min_length=1)


class Pairs(BaseModel):
    queries: list[Pair]


PAIRS = [
    {"query": "How long do batteries last?", "answer": "Two years."},
    {"query": "电池多久换？", "answer": "两年。"},
]
GOOD = json.dumps({"queries": PAIRS}, ensure_ascii=False)
MISSING_QUOTE = GOOD.replace('"Two years."', '"Two years.')
DAMAGES = {
    "valid": (GOOD, "valid", 2),
    "fence": (f"Here you are:\n```json\n{GOOD}\n```\nAnything else?", "valid", 2),
    "missing quote": (MISSING_QUOTE, "salvaged", 2),
    "truncated": (GOOD[:-25], "salvaged", 1),
    "prose": ("I'm sorry, I can't do that.", "rejected", 0),
    "empty": ("", "rejected", 0),
    "wrong schema": ('{"results": [{"text": "x"}]}', "rejected", 0),
    "wrong type": ('{"queries": "many"}', "rejected", 0),
}


def requests(*words):
    return [ChatRequest("Write JSON.", word) for word in words]


def word_of(request):
    return request["messages"][1]["content"]


@pytest.fixture
def ask(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)

    def run(server, *words, **options):
        settings = {"base_url": server.url, "model": "m", "timeout_s": 5, "backoff_s": 0.01} | options
        model = LanguageModel(LanguageOptions(**settings), tmp_path / "replies")
        return list(model.ask(requests(*words), Pairs)), model

    return run


def test_every_damage_is_salvaged_or_rejected_and_a_rerun_asks_nothing(ask):
    with ChatServer(lambda request, _: Answer(DAMAGES[word_of(request)][0])) as server:
        replies, _ = ask(server, *DAMAGES)
        found = [(reply.state, len(reply.value.queries) if reply.value else 0) for reply in replies]
        assert found == [expected[1:] for expected in DAMAGES.values()]
        assert [reply.position for reply in replies] == list(range(len(DAMAGES)))
        rejected = [reply for reply in replies if reply.state == "rejected"]
        assert all(reply.problem for reply in rejected)
        assert server.calls == len(DAMAGES) + len(rejected), "one repair attempt each"
        again, model = ask(server, *DAMAGES)
        assert server.calls == len(DAMAGES) + len(rejected)
        assert [(one.state, one.value) for one in again] == [(one.state, one.value) for one in replies]
        assert all(reply.stored for reply in again)
        assert model.spending().calls == 0


def test_a_repair_attempt_shows_the_bad_reply_and_is_taken(ask):
    with ChatServer(lambda request, _: Answer(GOOD if len(request["messages"]) == 4 else "no")) as server:
        ((reply,), model) = ask(server, "x")
        assert (reply.state, len(reply.value.queries)) == ("valid", 2)
        assert server.requests[1]["messages"][2] == {"role": "assistant", "content": "no"}
        assert model.spending().calls == 2


def test_a_repair_in_chinese_for_chinese_instructions(tmp_path):
    with ChatServer(lambda request, _: Answer("不行")) as server:
        model = LanguageModel(LanguageOptions(base_url=server.url, model="m"), tmp_path)
        list(model.ask([ChatRequest("请输出 JSON 格式的查询。", "文档")], Pairs))
        assert "上面的回复无法使用" in server.requests[1]["messages"][3]["content"]


def test_failures_that_pass_are_retried(ask):
    faults = {
        "500": refusal(500, "oops"),
        "503": refusal(503, "busy"),
        "html": Answer(body="<html>Bad gateway</html>"),
        "cut off": Answer(GOOD, break_off=True),
        "no choices": Answer(body='{"choices": null}'),
    }
    seen = set()

    def behave(request, _):
        word = word_of(request)
        first = word not in seen
        seen.add(word)
        return faults[word] if first else Answer(GOOD)

    with ChatServer(behave) as server:
        replies, _ = ask(server, *faults)
        assert [reply.state for reply in replies] == ["valid"] * len(faults)
        assert server.calls == 2 * len(faults)


def test_a_stalled_socket_and_a_dripping_one_end_at_the_timeout(ask):
    hang = {"stall": Answer(stall_s=20), "drip": Answer(drip=True)}
    with ChatServer(lambda request, _: hang.get(word_of(request), Answer(GOOD))) as server:
        started = time.monotonic()
        replies, _ = ask(server, "stall", "drip", "fine", timeout_s=0.3, retries=1)
        assert time.monotonic() - started < 5
        assert [reply.state for reply in replies] == ["failed", "failed", "valid"]
        assert "no answer within 0.3 s" in replies[0].problem
        assert server.calls == 5


def test_retry_after_is_honoured_by_every_request(ask):
    def behave(_, number):
        return refusal(429, "slow down", Retry_After="0.6") if number == 0 else Answer(GOOD)

    with ChatServer(behave) as server:
        replies, _ = ask(server, "a", "b", concurrency=1)
        assert [reply.state for reply in replies] == ["valid", "valid"]
        assert server.times[1] - server.times[0] >= 0.59
    patient = ChatServer(lambda _, __: refusal(429, "slow down", Retry_After="5000"))
    with patient as server, pytest.raises(LanguageError, match="asks to wait 5000 s"):
        ask(server, "c")


def test_a_server_without_schemas_is_asked_without(ask):
    def behave(request, _):
        if "response_format" in request:
            return refusal(400, "response_format json_schema is not supported")
        return Answer(GOOD)

    with ChatServer(behave) as server:
        replies, _ = ask(server, *"abc", concurrency=1)
        assert {reply.state for reply in replies} == {"valid"}
        assert ["response_format" in request for request in server.requests] == [True, False, False, False]
        replies, _ = ask(server, "d", structured_output="on", retries=0)
        assert "not supported" in replies[0].problem


def test_a_request_that_is_refused_for_itself_changes_nothing_for_the_others(ask):
    def behave(request, _):
        return refusal(400, "context length exceeded") if word_of(request) == "long" else Answer(GOOD)

    with ChatServer(behave) as server:
        replies, _ = ask(server, "long", "a", concurrency=1)
        assert [reply.state for reply in replies] == ["failed", "valid"]
        assert "context length exceeded" in replies[0].problem
        assert "response_format" in server.requests[-1]


def test_the_newer_name_of_the_limit_is_learnt(ask):
    def behave(request, _):
        if "max_tokens" in request:
            return refusal(400, "Unsupported parameter: use 'max_completion_tokens' instead.")
        return Answer(GOOD)

    with ChatServer(behave) as server:
        replies, _ = ask(server, "a")
        assert replies[0].state == "valid"
        assert server.requests[-1]["max_completion_tokens"] == 1024
        assert "response_format" in server.requests[-1]


def test_a_wrong_key_or_model_ends_the_run_and_the_key_is_told_nobody(ask, tmp_path):
    with ChatServer(lambda _, __: refusal(401, f"Incorrect API key provided: {SECRET}")) as server:
        with pytest.raises(LanguageError, match=r"doesn't accept the key: .*\[key\]") as error:
            ask(server, "a")
        assert SECRET not in str(error.value)
        assert server.headers[0]["authorization"] == f"Bearer {SECRET}"
    with (
        ChatServer(lambda _, __: refusal(404, "no such model")) as server,
        pytest.raises(LanguageError, match=r"know the address or the model: .*no such model"),
    ):
        ask(server, "a")
    echo = json.dumps({"queries": [{"query": SECRET, "answer": "y"}]})
    with ChatServer(lambda _, __: Answer(echo)) as server:
        replies, _ = ask(server, "a")
        assert replies[0].value.queries[0].query == "[key]"
    stored = [path.read_text() for path in (tmp_path / "replies").rglob("*.json")]
    assert stored
    assert not any(SECRET in text for text in stored)


def test_many_failures_in_a_row_end_the_run(ask):
    with ChatServer(lambda _, __: refusal(500, "down")) as server:
        with pytest.raises(LanguageError, match=r"10 requests in a row failed.*down"):
            ask(server, *map(str, range(40)), retries=0, concurrency=2)
        assert server.calls <= 14


def test_nothing_listens(ask):
    with ChatServer(lambda _, __: Answer(GOOD)) as server:
        pass
    replies, _ = ask(server, "a", retries=1)
    assert replies[0].state == "failed"
    assert "can't be reached" in replies[0].problem


def test_requests_go_out_together_up_to_the_limit_and_come_back_in_order(ask):
    def behave(request, _):
        time.sleep(0.02 * (9 - int(word_of(request))))
        return Answer(json.dumps({"queries": [{"query": word_of(request), "answer": "y"}]}))

    with ChatServer(behave) as server:
        replies, _ = ask(server, *map(str, range(9)), concurrency=4)
        assert [reply.value.queries[0].query for reply in replies] == [str(number) for number in range(9)]
        assert 2 <= server.most_at_once <= 4


def test_equal_requests_are_sent_once_and_another_temperature_is_another_request(ask):
    with ChatServer(lambda _, __: Answer(GOOD)) as server:
        replies, _ = ask(server, "a", "b", "a")
        assert [reply.position for reply in replies] == [0, 1, 2]
        assert server.calls == 2
        ask(server, "a", temperature=0.5)
        ask(server, "a", max_tokens=77)
        ask(server, "a", model="n")
        assert server.calls == 5
        ask(server, "a", "b", concurrency=3, timeout_s=9, retries=0, tokens_per_minute=10**9)
        assert server.calls == 5


def test_a_damaged_file_is_asked_for_again(ask, tmp_path):
    with ChatServer(lambda _, __: Answer(GOOD)) as server:
        ask(server, "a", "b")
        first, second = sorted((tmp_path / "replies").rglob("*.json"))
        first.write_bytes(first.read_bytes()[:50])
        second.write_text(second.read_text().replace("Two years", "Six years"))
        replies, _ = ask(server, "a", "b")
        assert server.calls == 4
        assert "Two years." in replies[0].text


def test_the_budget_is_never_passed_and_stored_replies_still_come(ask):
    prices = {"input_price": 1000.0, "output_price": 1000.0, "max_tokens": 100}
    with ChatServer(lambda _, __: Answer(GOOD), lambda text: max(1, len(text) // 2)) as server:
        _, model = ask(server, "9", **prices)
        each = model.spending().cost
        budget = 6 * each
        replies, model = ask(server, *map(str, range(10)), **prices, budget=budget, concurrency=4)
        states = [reply.state for reply in replies]
        assert states.count("valid") >= 5
        assert states[9] == "valid", "it was stored before"
        assert states.count("not asked") == 10 - states.count("valid") > 0
        assert model.spending().cost <= budget
        calls = server.calls
        replies, model = ask(server, *map(str, range(10)), **prices, budget=100.0)
        assert {reply.state for reply in replies} == {"valid"}
        assert server.calls - calls == states.count("not asked")


def test_options_that_cannot_be(monkeypatch, tmp_path):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(OptionsError, match="an address holds no key"):
        LanguageOptions(base_url="http://user:pw@host/v1")
    with pytest.raises(OptionsError, match="no language model was named"):
        LanguageModel(LanguageOptions(), tmp_path)
    with pytest.raises(OptionsError, match="a budget needs prices"):
        LanguageModel(LanguageOptions(model="m", budget=1), tmp_path)
    with pytest.raises(LanguageError, match="OPENAI_API_KEY isn't set"):
        list(LanguageModel(LanguageOptions(model="m"), tmp_path).ask(requests("a"), Pairs))
