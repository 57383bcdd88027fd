"""LanguageModel: asks once, keeps every reply, passes neither the limits nor the budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from embedtune import progress
from embedtune.language.asker import Asker
from embedtune.language.chat import ChatReply, ChatRequest, Schema, request_key
from embedtune.language.estimate import Estimate, estimate_requests
from embedtune.language.limits import RateLimiter
from embedtune.language.options import LanguageOptions
from embedtune.language.spending import Meter, Spending
from embedtune.language.store import ReplyStore, default_reply_folder
from embedtune.language.tokens import TextCounter, text_counter
from embedtune.language.workers import in_order

__all__ = ["LanguageModel"]


class LanguageModel:
    """A chat model on an OpenAI-compatible server, its replies kept in `folder`.

    Raises OptionsError where no model is named. The server is spoken to by `ask` alone, and only
    for what isn't stored.
    """

    def __init__(self, options: LanguageOptions, folder: str | Path | None = None) -> None:
        self.options = options
        self.store = ReplyStore(folder or default_reply_folder(), options)
        self.count_tokens: TextCounter = text_counter(options.tokenizer)
        self._meter = Meter(options.prices(), options.budget)
        self._limiter = RateLimiter(options.requests_per_minute, options.tokens_per_minute)

    def ask(
        self, requests: Sequence[ChatRequest], schema: type[Schema], label: str = "ask the language model"
    ) -> Iterator[ChatReply[Schema]]:
        """Yields the reply to each request, in their order; equal requests are sent once.

        A reply is on disk before it is looked at, so asking again costs nothing. One that holds
        nothing usable is followed by one attempt at repair. Requests are sent ahead of the replies
        that are taken; leaving the iterator sends no more. Raises LanguageError where the server
        refuses the key or the model, or fails many requests in a row.
        """
        keys = [request_key(self.options, request.messages(), schema) for request in requests]
        place_of: dict[str, int] = {}
        unique: list[ChatRequest] = []
        for key, request in zip(keys, requests, strict=True):
            if key not in place_of:
                place_of[key] = len(unique)
                unique.append(request)
        asker = Asker(self.options, self.store, self._meter, self._limiter, self.count_tokens)
        answers = in_order(
            len(unique), lambda i: asker.answer(unique[i], schema, i), self.options.concurrency, asker.stopped
        )
        seen: list[ChatReply[Schema]] = []
        try:
            with progress.task(label, total=len(requests)) as task:
                for position, key in enumerate(keys):
                    if place_of[key] == len(seen):
                        seen.append(next(answers))
                    yield replace(seen[place_of[key]], position=position)
                    task.advance()
        finally:
            answers.close()
            asker.close()

    def estimate(self, requests: Sequence[ChatRequest], schema: type[BaseModel]) -> Estimate:
        """Returns what asking would cost, without asking; only requests that aren't stored count."""
        return estimate_requests(requests, schema, self.options, self.store, self._meter, self.count_tokens)

    def spending(self) -> Spending:
        """Returns what this model's requests have cost since it was made."""
        return self._meter.spending()
