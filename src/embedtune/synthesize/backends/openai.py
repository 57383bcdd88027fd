"""Asks a language model, through any OpenAI-compatible server (hosted, vLLM, Ollama, llama.cpp)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from embedtune import progress
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import LanguageError
from embedtune.language.chat import ChatReply, ChatRequest
from embedtune.language.estimate import Estimate
from embedtune.language.model import LanguageModel
from embedtune.language.options import LanguageOptions
from embedtune.language.tokens import estimated_tokens
from embedtune.synthesize.acceptance import WrittenQueries, accept
from embedtune.synthesize.examples import choose_examples
from embedtune.synthesize.kinds import deal_kinds
from embedtune.synthesize.prompts import Prompts, prompt_language, read_prompts
from embedtune.synthesize.query import SyntheticQuery
from embedtune.synthesize.setting import GenerationSetting

__all__ = ["KINDS", "OPTIONS", "OpenAIOptions", "estimate", "generate"]

KINDS = {
    "question": 3.0,
    "keyword": 3.0,
    "conversational": 1.0,
    "scenario": 1.0,
    "claim": 1.0,
    "title": 1.0,
    "exam": 0.0,
}
_TOKENS_OF_KIND = {
    "question": 15,
    "keyword": 7,
    "conversational": 28,
    "scenario": 50,
    "claim": 20,
    "title": 11,
    "exam": 22,
}
_TOKENS_OF_ANSWER = 35
_TOKENS_AROUND_A_QUERY = 20
_TOKENS_AROUND_ALL = 8
_SECOND_QUERY_FROM = 80
_THIRD_QUERY_FROM = 200
"""Tokens from which a document gets a second and a third query by default."""


class OpenAIOptions(LanguageOptions):
    """The language model, the prompts, and real queries to imitate."""

    prompts: Path | None = Field(
        default=None, description="Folder with prompt templates of your own (en/ and zh/); what it lacks is packaged."
    )
    like: Path | None = Field(default=None, description="Dataset whose real queries are examples of style.")
    split: str = Field(default="train", description="Split of --like that they are taken from; never val or test.")
    examples: int = Field(default=8, ge=1, description="How many examples of style a prompt shows.")


OPTIONS = OpenAIOptions


@dataclass(frozen=True)
class _Asked:
    """A document's request and what was wanted."""

    document_id: str
    document: str
    wanted: Mapping[str, int]
    language: str
    request: ChatRequest


def generate(
    documents: Mapping[str, str], options: OpenAIOptions, setting: GenerationSetting
) -> Iterator[SyntheticQuery]:
    """Yields the accepted queries, document by document; one request a document.

    A request depends on nothing but its document, the options and the examples, so documents that are
    added later don't change it. Raises LanguageError where no document got a usable query.
    """
    model = LanguageModel(options, setting.cache_folder)
    prompts, examples = _templates(options, setting)
    asked = [_asked(*item, prompts, examples, setting) for item in documents.items()]
    digests = {name: templates.digest() for name, templates in prompts.items()}
    setting.tally.record.update(
        server=options.address(),
        model=options.model,
        temperature=options.temperature,
        prompts=digests,
        examples=examples,
    )
    states: Counter[str] = Counter()
    made = lost = 0
    problem = ""
    replies = model.ask([one.request for one in asked], WrittenQueries, "ask for queries")
    for one, reply in zip(asked, replies, strict=True):
        states["stored" if reply.stored else "answered"] += reply.state not in ("failed", "not asked")
        states[reply.state] += 1
        lost += reply.lost
        if reply.value is None:
            problem = reply.problem
            _reject(one, reply, setting)
            continue
        for query in accept(
            reply.value.queries, one.document_id, one.document, one.wanted, one.language, setting.tally
        ):
            made += 1
            yield query
    spending = model.spending()
    setting.tally.facts.update(
        replies=dict(states),
        pairs_lost=lost,
        calls=spending.calls,
        input_tokens=spending.input_tokens,
        output_tokens=spending.output_tokens,
        cost=spending.cost,
    )
    if asked and not made:
        _nothing_made(options, states, problem, setting)


def estimate(documents: Mapping[str, str], options: OpenAIOptions, setting: GenerationSetting) -> Estimate:
    """Returns what `generate` would cost; nothing is asked."""
    model = LanguageModel(options, setting.cache_folder)
    prompts, examples = _templates(options, setting)
    asked = [_asked(*item, prompts, examples, setting) for item in documents.items()]
    return model.estimate([one.request for one in asked], WrittenQueries)


def _templates(options: OpenAIOptions, setting: GenerationSetting) -> tuple[dict[str, Prompts], dict[str, list[str]]]:
    examples: dict[str, list[str]] = {}
    if options.like is not None:
        real = RetrievalDataset.read(options.like)
        examples = choose_examples(real, options.split, options.examples, setting.seed, setting.embed)
    return read_prompts(options.prompts, list(setting.kinds)), examples


def _asked(
    document_id: str,
    document: str,
    prompts: Mapping[str, Prompts],
    examples: Mapping[str, list[str]],
    setting: GenerationSetting,
) -> _Asked:
    language = prompt_language(document)
    count = setting.per_document or _count_by_length(document)
    wanted = deal_kinds(setting.kinds, count, setting.random_for(document))
    user = prompts[language].user_message(document, wanted, examples.get(language, ()))
    each = _TOKENS_OF_ANSWER + _TOKENS_AROUND_A_QUERY
    expected = _TOKENS_AROUND_ALL + sum(number * (each + _TOKENS_OF_KIND[kind]) for kind, number in wanted.items())
    return _Asked(document_id, document, wanted, language, ChatRequest(prompts[language].instructions, user, expected))


def _count_by_length(document: str) -> int:
    tokens = estimated_tokens(document)
    return 1 + (tokens >= _SECOND_QUERY_FROM) + (tokens >= _THIRD_QUERY_FROM)


def _reject(one: _Asked, reply: ChatReply[WrittenQueries], setting: GenerationSetting) -> None:
    what = {"failed": "no reply", "not asked": "not asked"}.get(reply.state, "unusable reply")
    setting.tally.reject(f"{what}: {reply.problem}", one.document_id, reply.text)


def _nothing_made(options: OpenAIOptions, states: Mapping[str, int], problem: str, setting: GenerationSetting) -> None:
    for reason, count in setting.tally.rejected.most_common():
        progress.say(f"rejected {count}: {reason}")
    counts = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    raise LanguageError(
        f"not one usable query came back ({counts}; the last problem: {problem or 'no query was acceptable'})",
        where=f"{options.address()}, model {options.model!r}",
        remedy="look at the stored replies; a larger model, a longer --max-tokens or a budget may be what is missing",
    )
