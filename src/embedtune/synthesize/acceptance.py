"""Which of a model's queries are accepted: only what was asked for, and only about its own document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from embedtune.language.fencing import fence_of
from embedtune.synthesize.query import SyntheticQuery
from embedtune.synthesize.setting import Tally

__all__ = ["WrittenQueries", "WrittenQuery", "accept"]

_LONGEST_QUERY = 600
_LONGEST_ANSWER = 2000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060\ufeff]+")


class WrittenQuery(BaseModel):
    """One query as a model writes it; other spellings of the names are let through."""

    model_config = ConfigDict(populate_by_name=True, str_strip_whitespace=True)

    kind: str = Field(default="", validation_alias=AliasChoices("kind", "type", "种类", "类型"))
    query: str = Field(min_length=1, validation_alias=AliasChoices("query", "question", "查询", "问题"))
    answer: str = Field(min_length=1, validation_alias=AliasChoices("answer", "答案", "回答"))


class WrittenQueries(BaseModel):
    """What a model is asked to reply with."""

    queries: list[WrittenQuery]


def accept(
    written: Sequence[WrittenQuery],
    document_id: str,
    document: str,
    wanted: Mapping[str, int],
    language: str,
    tally: Tally,
) -> Iterator[SyntheticQuery]:
    """Yields the queries that count; the others go to the tally with the reason.

    The document's id, the language and the number of queries come from here, never from the reply. A
    query whose kind isn't one of those asked for takes the place of one that is still missing.
    """
    left = dict(wanted)
    seen: set[str] = set()
    for one in written:
        text, answer = _plain(one.query), _plain(one.answer)
        kind = one.kind.strip().lower()
        kind = kind if kind in wanted else next((name for name, count in left.items() if count), "")
        reason = _reason_against(text, answer, document)
        if not reason and text.casefold() in seen:
            reason = "repeats another query of its document"
        elif not reason and not left.get(kind):
            reason = "more than were asked for"
        if reason:
            tally.reject(reason, document_id, one.query)
            continue
        left[kind] -= 1
        seen.add(text.casefold())
        yield SyntheticQuery(document_id, text, kind, answer, language)


def _reason_against(text: str, answer: str, document: str) -> str:
    if not text or not answer:
        return "empty"
    if len(text) > _LONGEST_QUERY or len(answer) > _LONGEST_ANSWER:
        return "too long"
    if not any(character.isalnum() for character in text):
        return "without a letter"
    if fence_of(document) in text or fence_of(document) in answer:
        return "shows the marks around the document"
    return ""


def _plain(text: str) -> str:
    """Returns a text on one line without characters that can't be seen."""
    return " ".join(_CONTROL.sub(" ", text).split())
