"""What a run costs, and the limit that it never passes."""

from __future__ import annotations

import threading
from dataclasses import dataclass

__all__ = ["Meter", "Spending"]

_A_MILLION = 1_000_000


@dataclass(frozen=True)
class Spending:
    """Calls that a server answered, the tokens it counted, and their price (None where prices weren't given)."""

    calls: int
    input_tokens: int
    output_tokens: int
    cost: float | None


class Meter:
    """Counts what is spent; with a budget, lets a request go only if its worst case still fits."""

    def __init__(self, prices: tuple[float, float] | None, budget: float | None) -> None:
        self._prices = prices
        self._budget = budget
        self._calls = self._input_tokens = self._output_tokens = 0
        self._reserved = self._lost = 0.0
        self._under_way = 0
        self._changed = threading.Condition()

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """Returns the price of so many tokens; 0 where prices weren't given."""
        if self._prices is None:
            return 0.0
        return (input_tokens * self._prices[0] + output_tokens * self._prices[1]) / _A_MILLION

    def reserve(self, cost: float) -> bool:
        """Sets money aside for a request; waits for those under way; False where it can't fit any more."""
        with self._changed:
            while self._budget is not None and self._spent() + self._reserved + cost > self._budget:
                if not self._under_way or self._spent() + cost > self._budget:
                    return False
                self._changed.wait()
            self._reserved += cost
            self._under_way += 1
            return True

    def release(self, cost: float, *, perhaps_spent: float = 0.0) -> None:
        """Gives back what was set aside; `perhaps_spent` is for requests that ended without a reply."""
        with self._changed:
            self._under_way -= 1
            self._reserved = self._reserved - cost if self._under_way else 0.0
            self._lost += perhaps_spent
            self._changed.notify_all()

    def count(self, input_tokens: int, output_tokens: int) -> None:
        """Counts one answered request."""
        with self._changed:
            self._calls += 1
            self._input_tokens += input_tokens
            self._output_tokens += output_tokens

    def spending(self) -> Spending:
        """Returns what was spent so far."""
        with self._changed:
            cost = None if self._prices is None else self._spent()
            return Spending(self._calls, self._input_tokens, self._output_tokens, cost)

    def _spent(self) -> float:
        return self.cost(self._input_tokens, self._output_tokens) + self._lost
