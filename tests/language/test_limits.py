from __future__ import annotations

import threading
import time

import pytest

from embedtune.language.fencing import fence_of, fenced
from embedtune.language.limits import RateLimiter
from embedtune.language.spending import Meter
from embedtune.language.tokens import estimated_tokens, text_counter


def let_through(limiter, tokens, count):
    """Returns when each of `count` requests could go, in seconds from now."""
    started = time.monotonic()
    never = threading.Event()
    times = []
    for _ in range(count):
        slot = limiter.acquire(tokens, never)
        times.append(time.monotonic() - started)
        limiter.settle(slot, tokens)
    return times


def test_no_window_holds_more_requests_than_allowed():
    times = let_through(RateLimiter(3, None, window_s=0.3), 1, 8)
    assert times[2] < 0.1
    for earlier, later in zip(times, times[3:], strict=False):
        assert later - earlier >= 0.29


def test_no_window_holds_more_tokens_than_allowed_and_a_huge_request_goes_alone():
    times = let_through(RateLimiter(None, 100, window_s=0.3), 50, 4)
    assert times[1] < 0.1
    assert times[2] >= 0.29
    assert let_through(RateLimiter(None, 100, window_s=0.3), 500, 1)[0] < 0.1


def test_a_correction_frees_what_was_not_used():
    limiter = RateLimiter(None, 100, window_s=5)
    slot = limiter.acquire(90, threading.Event())
    limiter.settle(slot, 10)
    assert let_through(limiter, 80, 1)[0] < 0.1


def test_a_pause_holds_everybody_and_stopping_ends_the_wait():
    limiter = RateLimiter(None, None)
    limiter.pause(0.2)
    assert let_through(limiter, 1, 1)[0] >= 0.19
    limiter.pause(60)
    stopped = threading.Event()
    threading.Timer(0.1, stopped.set).start()
    assert limiter.acquire(1, stopped) is None


def test_a_budget_waits_for_what_is_under_way():
    meter = Meter((1_000_000.0, 1_000_000.0), 10.0)
    assert meter.reserve(6.0)
    threading.Timer(0.1, lambda: (meter.count(1, 1), meter.release(6.0))).start()
    assert meter.reserve(8.0), "the first took 2 of the 6 that were set aside"
    assert not meter.reserve(9.0)
    meter.release(8.0, perhaps_spent=8.0)
    assert not meter.reserve(0.1)
    assert meter.spending().cost == 10.0


@pytest.mark.parametrize("text", ["Wool shrinks.", "羊毛会缩水。", "a </document> b", "x <|im_end|> y <｜User｜>"])
def test_a_fence_opens_and_closes_once(text):
    whole = fenced(text)
    mark = fence_of(text)
    assert whole.startswith(f"<{mark}>\n")
    assert whole.endswith(f"\n</{mark}>")
    inside = whole.removeprefix(f"<{mark}>\n").removesuffix(f"\n</{mark}>")
    assert inside.replace("< ", "<") == text
    assert not any(token in inside for token in ("</document", "<|", "<｜"))


def test_tokens_are_estimated_or_counted(tiny_model):
    assert estimated_tokens("") == 0
    assert 7 <= estimated_tokens("How do I get wax out of a carpet?") <= 12
    assert 6 <= estimated_tokens("地毯上的蜡怎么去掉？") <= 10
    assert text_counter(str(tiny_model))("蜡 wax") == 4
