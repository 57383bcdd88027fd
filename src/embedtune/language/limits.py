"""Keeps requests under the limits of a server: so many requests and tokens in any minute."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["RateLimiter", "Slot"]

_WINDOW_S = 60.0


@dataclass
class Slot:
    """One request that counts: when it was sent, and its tokens, guessed first and then corrected."""

    sent: float
    tokens: int


class RateLimiter:
    """Lets requests go as soon as the last minute has room for them; shared by threads.

    A request larger than the whole minute goes when the minute before it is empty. `pause` stops
    everybody, for a server that said so.
    """

    def __init__(
        self,
        requests_per_minute: int | None,
        tokens_per_minute: int | None,
        *,
        window_s: float = _WINDOW_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests = requests_per_minute
        self._tokens = tokens_per_minute
        self._window_s = window_s
        self._clock = clock
        self._slots: deque[Slot] = deque()
        self._not_before = 0.0
        self._lock = threading.Lock()

    def acquire(self, tokens: int, stopped: threading.Event) -> Slot | None:
        """Waits until the request may go and counts it; returns None if `stopped` is set first."""
        while not stopped.is_set():
            with self._lock:
                wait_s = self._wait_s(tokens)
                if wait_s <= 0:
                    slot = Slot(self._clock(), tokens)
                    self._slots.append(slot)
                    return slot
            stopped.wait(wait_s)
        return None

    def settle(self, slot: Slot, tokens: int) -> None:
        """Puts the tokens that a request really had in the place of the guess."""
        with self._lock:
            slot.tokens = tokens

    def pause(self, seconds: float) -> None:
        """Lets no request go for so long."""
        with self._lock:
            self._not_before = max(self._not_before, self._clock() + seconds)

    def _wait_s(self, tokens: int) -> float:
        """Returns how long a request of so many tokens has to wait; 0 or less: not at all."""
        now = self._clock()
        while self._slots and self._slots[0].sent <= now - self._window_s:
            self._slots.popleft()
        leaving = 0
        if self._requests is not None:
            leaving = max(leaving, len(self._slots) - self._requests + 1)
        if self._tokens is not None:
            excess = sum(slot.tokens for slot in self._slots) + tokens - self._tokens
            for place, slot in enumerate(self._slots, start=1):
                if excess <= 0:
                    break
                excess -= slot.tokens
                leaving = max(leaving, place)
        freed = self._slots[leaving - 1].sent + self._window_s - now if leaving else 0.0
        return max(freed, self._not_before - now)
