"""What asking will cost, before anything is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from embedtune.language.chat import ChatRequest, request_key
from embedtune.language.options import LanguageOptions
from embedtune.language.spending import Meter
from embedtune.language.store import ReplyStore
from embedtune.language.tokens import TextCounter, message_tokens

__all__ = ["Estimate", "estimate_requests"]

_SAMPLE = 200
_ENOUGH = 5


@dataclass(frozen=True)
class Estimate:
    """Requests, those of them already stored, and the calls, tokens and money for the others.

    `learnt_from` replies of the same model corrected the estimate; `cost` is None without prices.
    Repairs and failed attempts aren't in it.
    """

    requests: int
    stored: int
    calls: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    learnt_from: int


def estimate_requests(
    requests: Sequence[ChatRequest],
    schema: type[BaseModel],
    options: LanguageOptions,
    store: ReplyStore,
    meter: Meter,
    count: TextCounter,
) -> Estimate:
    """Returns what asking would cost; token counts are corrected by what the server counted before."""
    keyed = {request_key(options, request.messages(), schema): request for request in requests}
    open_requests = [request for key, request in keyed.items() if store.read(key) is None]
    counted = [message_tokens(request.messages(), count) for request in open_requests]
    expected = sum(request.expected_tokens for request in open_requests)
    input_share, output_share, learnt_from = _learnt(store, schema, count)
    input_tokens, output_tokens = round(sum(counted) * input_share), round(expected * output_share)
    cost = None if options.prices() is None else meter.cost(input_tokens, output_tokens)
    stored = len(keyed) - len(open_requests)
    return Estimate(len(requests), stored, len(open_requests), input_tokens, output_tokens, cost, learnt_from)


def _learnt(store: ReplyStore, schema: type[BaseModel], count: TextCounter) -> tuple[float, float, int]:
    """Returns by what the server's own counts differ from ours: input, output, and from how many replies."""
    past = store.some(_SAMPLE, schema.__name__)
    if len(past) < _ENOUGH:
        return 1.0, 1.0, 0
    counted = sum(message_tokens(one.messages, count) for one in past)
    expected = sum(one.expected_tokens for one in past)
    input_tokens = sum(one.completion.input_tokens for one in past)
    output_tokens = sum(one.completion.output_tokens for one in past)
    return input_tokens / max(1, counted), output_tokens / max(1, expected), len(past)
