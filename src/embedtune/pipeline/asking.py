"""What it will cost to ask a language model in a step, before anything is asked."""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple

from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import EmbedtuneError
from embedtune.language.model import LanguageModel
from embedtune.language.options import LanguageOptions
from embedtune.mine.judge import Judge
from embedtune.pipeline.foreseeing import DataAhead, option
from embedtune.pipeline.recipe import RecipeStep
from embedtune.synthesize.generation import GenerateOptions, estimate_generation
from embedtune.synthesize.judging import Grade, judge_request

__all__ = ["Money", "asks", "money_for_asking"]

_SAMPLED = 50
_SPEED_UNKNOWN = "how fast the server answers isn't known"
_NO_PRICES = "money unknown without input_price and output_price"


class Money(NamedTuple):
    """The cost, None where prices weren't given, and what it rests on."""

    cost: float | None
    words: str


def asks(step: RecipeStep) -> LanguageOptions | None:
    """Returns the options of the language model that a step asks; None for a step that asks none."""
    return next((one for one in step.options.values() if isinstance(one, LanguageOptions) and one.model), None)


def money_for_asking(step: RecipeStep, data: DataAhead, judged: int, replies: Path | None) -> Money | None:
    """Returns what a step's questions cost at the recipe's prices; None for a step that asks no language model."""
    options = asks(step)
    if options is None:
        return None
    try:
        if step.kind_name == "synth":
            return _written(step, data, options, replies)
        model = LanguageModel(options, replies)
        if step.kind_name == "mine" and judged:
            pairs = _pairs(data.texts)
            return _priced(Judge(model).estimate(pairs).cost, len(pairs), judged, options, "at most ")
        graded = _graded(step, data)
        if graded:
            requests = [judge_request(query, document) for query, document in _pairs(data.texts)]
            return _priced(model.estimate(requests, Grade).cost, len(requests), graded, options)
    except EmbedtuneError as error:
        return Money(None, f"money unknown: {error}")
    return None


def _written(step: RecipeStep, data: DataAhead, options: LanguageOptions, replies: Path | None) -> Money:
    general = next(one for one in step.options.values() if isinstance(one, GenerateOptions))
    planned = estimate_generation(data.texts, option(step, "backend"), options, general, cache_folder=replies).estimate
    stored = f", {planned.stored:,} replies are stored" if planned.stored else ""
    prices = "" if options.prices() else f"; {_NO_PRICES}"
    tokens = f"{planned.input_tokens:,} tokens in and {planned.output_tokens:,} out"
    return Money(planned.cost, f"{planned.calls:,} calls, {tokens}{stored}{prices}; {_SPEED_UNKNOWN}")


def _graded(step: RecipeStep, data: DataAhead) -> int:
    """Returns how many pairs the filters of a step have graded."""
    filters, queries = option(step, "filters") or (), len(data.texts.queries)
    pairs = queries if "llm-judge" in filters else 0
    if "relabel" in filters and option(step, "relabel_by") == "llm-judge":
        pairs += queries * (1 + int(option(step, "candidates")))
    return pairs


def _pairs(texts: RetrievalDataset) -> list[tuple[str, str]]:
    """Returns some queries, each with a document."""
    drawn = random.Random(0)
    queries, documents = list(texts.queries.values()), list(texts.corpus.values())
    count = min(_SAMPLED, len(queries), len(documents))
    return list(zip(drawn.sample(queries, count), drawn.sample(documents, count), strict=True))


def _priced(cost: float | None, sampled: int, pairs: int, options: LanguageOptions, about: str = "") -> Money:
    """Returns the price of so many pairs by that of the sample."""
    words = f"{about}{pairs:,} pairs to grade, priced by {sampled:,} of the data's; {_SPEED_UNKNOWN}"
    if options.prices() is None or cost is None or not sampled:
        return Money(None, f"{words}; {_NO_PRICES}")
    return Money(cost * pairs / sampled, words)
