"""Answers requests one at a time: from the store, else from the server, within limits and budget."""

from __future__ import annotations

import random
import threading

from pydantic import BaseModel

from embedtune.errors import LanguageError
from embedtune.language.chat import ChatReply, ChatRequest, Completion, Message, ReplyState, Schema, request_key
from embedtune.language.client import AttemptFailedError, ChatClient, RequestRefusedError
from embedtune.language.limits import RateLimiter
from embedtune.language.options import LanguageOptions
from embedtune.language.parsing import parse_reply
from embedtune.language.repair import repair_messages
from embedtune.language.spending import Meter
from embedtune.language.store import PastReply, ReplyStore
from embedtune.language.tokens import TextCounter, message_tokens

__all__ = ["Asker"]

_LONGEST_BACKOFF_S = 60.0
_FAILED_IN_A_ROW = 10
_INPUT_MARGIN = 1.3
"""An estimate of input tokens may be too low; a budget isn't passed for that."""


class _FailedError(Exception):
    """No reply after all retries."""


class _NotAskedError(Exception):
    """The budget has no room, or everything was stopped."""


class Asker:
    """What the threads of one `ask` share."""

    def __init__(
        self, options: LanguageOptions, store: ReplyStore, meter: Meter, limiter: RateLimiter, count: TextCounter
    ) -> None:
        self.stopped = threading.Event()
        self._options = options
        self._store = store
        self._meter = meter
        self._limiter = limiter
        self._count = count
        self._lock = threading.Lock()
        self._failed_in_a_row = 0
        self._made: ChatClient | None = None

    def _client(self) -> ChatClient:
        """Returns the client, made on first use: without a new request neither package nor key is needed."""
        with self._lock:
            if self._made is None:
                self._made = ChatClient(self._options)
            return self._made

    def close(self) -> None:
        """Sends nothing more and breaks off what is under way."""
        self.stopped.set()
        with self._lock:
            if self._made is not None:
                self._made.close()

    def answer(self, request: ChatRequest, schema: type[Schema], position: int) -> ChatReply[Schema]:
        """Returns the reply to a request; raises LanguageError where going on makes no sense."""
        messages = request.messages()
        try:
            completion, stored = self._completion(messages, schema, request.expected_tokens)
        except _FailedError as failure:
            self._count_failure(str(failure))
            return ChatReply(position, "failed", problem=str(failure))
        except _NotAskedError as reason:
            return ChatReply(position, "not asked", problem=str(reason))
        self._failed_in_a_row = 0
        parsed = parse_reply(completion.text, schema)
        problem = parsed.problem
        if parsed.value is None:
            second = repair_messages(messages, completion.text, parsed.problem)
            try:
                completion, fresh = self._completion(second, schema, request.expected_tokens)
                stored, parsed = stored and fresh, parse_reply(completion.text, schema)
                problem = parsed.problem
            except (_FailedError, _NotAskedError) as reason:
                problem = f"{problem}; no repair: {reason}"
        if parsed.value is None:
            return ChatReply(position, "rejected", None, completion.text, problem, parsed.lost, stored)
        state: ReplyState = "salvaged" if parsed.salvaged else "valid"
        return ChatReply(position, state, parsed.value, completion.text, problem, parsed.lost, stored)

    def _completion(self, messages: list[Message], schema: type[BaseModel], expected: int) -> tuple[Completion, bool]:
        """Returns the reply, and whether it was stored before; a new one is stored at once."""
        key = request_key(self._options, messages, schema)
        stored = self._store.read(key)
        if stored is not None:
            return stored, True
        completion = self._asked(messages, schema, expected)
        self._store.write(key, PastReply(messages, schema.__name__, expected, completion))
        return completion, False

    def _asked(self, messages: list[Message], schema: type[BaseModel], expected: int) -> Completion:
        tokens = message_tokens(messages, self._count)
        reason = ""
        for attempt in range(self._options.retries + 1):
            try:
                return self._attempt(messages, schema, tokens, expected)
            except RequestRefusedError as refusal:
                raise _FailedError(str(refusal)) from None
            except AttemptFailedError as failure:
                reason = str(failure)
                if failure.wait_s is not None:
                    self._limiter.pause(failure.wait_s)
                elif attempt < self._options.retries:
                    self._back_off(attempt)
        raise _FailedError(reason)

    def _attempt(self, messages: list[Message], schema: type[BaseModel], tokens: int, expected: int) -> Completion:
        """Sends once, when the limits and the budget let it."""
        worst = self._meter.cost(round(tokens * _INPUT_MARGIN), self._options.max_tokens)
        if not self._meter.reserve(worst):
            raise _NotAskedError("the budget is spent")
        perhaps_spent = 0.0
        try:
            slot = self._limiter.acquire(tokens + expected, self.stopped)
            if slot is None:
                raise _NotAskedError("stopped")
            completion = self._counted(self._client().attempt(messages, schema), tokens)
            self._limiter.settle(slot, completion.input_tokens + completion.output_tokens)
            self._meter.count(completion.input_tokens, completion.output_tokens)
            return completion
        except AttemptFailedError as failure:
            perhaps_spent = worst if failure.timed_out else 0.0
            raise
        finally:
            self._meter.release(worst, perhaps_spent=perhaps_spent)

    def _counted(self, completion: Completion, tokens: int) -> Completion:
        """Fills in what a server that doesn't count tokens leaves open."""
        if completion.input_tokens:
            return completion
        return Completion(completion.text, completion.finish_reason, tokens, self._count(completion.text))

    def _back_off(self, attempt: int) -> None:
        wait_s = min(_LONGEST_BACKOFF_S, self._options.backoff_s * 2**attempt)
        self.stopped.wait(wait_s * (0.5 + random.random() / 2))

    def _count_failure(self, reason: str) -> None:
        with self._lock:
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= _FAILED_IN_A_ROW:
                raise LanguageError(
                    f"{_FAILED_IN_A_ROW} requests in a row failed, the last with: {reason}",
                    where=f"{self._options.address()}, model {self._options.model_name()!r}",
                    remedy="see to the server and run the command again; replies that came are kept",
                )
