"""Makes queries out of a document's own words: headings, first sentences, key phrases, cropped sentences.

No model and no network. Weaker than queries that somebody would ask: every word of such a query is the
document's own, so it teaches which words matter and little of how people ask (docs/filters.md has what that
gave). Cropping is the inverse cloze task (Lee et al., https://arxiv.org/abs/1906.00300), where the sentence
is taken out of its document; here documents stay as they are, and a query that would be a copy of a part is
reworded instead.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Literal

from pydantic import Field

from embedtune.data.languages import language_of
from embedtune.options import Options
from embedtune.synthesize.excerpts import crop, stands_in, telegraphic, words_of
from embedtune.synthesize.key_phrases import KeyPhrases
from embedtune.synthesize.kinds import deal_kinds
from embedtune.synthesize.query import SyntheticQuery
from embedtune.synthesize.query_faults import length_in_words
from embedtune.synthesize.sections import Sections, find_sections
from embedtune.synthesize.setting import GenerationSetting

__all__ = ["KINDS", "OPTIONS", "RulesOptions", "generate"]

KINDS = {"title": 1.0, "keywords": 1.0, "span": 1.0}
"""title: a heading, or the first sentence; keywords: some key phrases; span: clauses of another sentence."""

_PHRASES_LOOKED_AT = 8
_ATTEMPTS = 4
_FEWEST_WORDS = 2
_WORDS_FOR_ONE_MORE = 80
_MOST_BY_LENGTH = 3


class RulesOptions(Options):
    """How a document's own words become queries."""

    copies: Literal["reword", "keep"] = Field(
        default="reword",
        description="What becomes of a query that stands in its document word for word: reword leaves out function "
        "words and some others, keep leaves it a copy.",
    )
    dropped_words: float = Field(
        default=0.1, ge=0, lt=1, description="Share of the words, besides function words, that rewording leaves out."
    )
    fewest_phrases: int = Field(default=2, ge=1, description="Fewest key phrases in a query.")
    most_phrases: int = Field(default=4, ge=1, description="Most key phrases in a query.")
    fewest_span_words: int = Field(default=5, ge=1, description="Shortest part of a sentence, in words.")
    most_span_words: int = Field(default=16, ge=1, description="Longest part of a sentence, in words.")


OPTIONS = RulesOptions


def generate(
    documents: Mapping[str, str], options: RulesOptions, setting: GenerationSetting
) -> Iterator[SyntheticQuery]:
    """Yields the queries of each document, in the order of the documents; none twice for one document.

    A document's queries depend on the seed and its text, and in Chinese on how many of all the
    documents have a word: not on the order, nor on who else is at work. One whose words don't
    give enough different queries gets fewer.
    """
    phrases = KeyPhrases(documents)
    for document_id, text in documents.items():
        above = [*setting.headings.get(document_id, ())]
        maker = _Maker(text, above, phrases, options, setting.random_for(text))
        made = maker.queries(setting.kinds, setting.per_document or _by_length(text))
        if not made:
            setting.tally.reject("no words to make a query of", document_id, text)
        language = language_of(text)
        yield from (SyntheticQuery(document_id, query, kind, language=language) for query, kind in made.items())


def _by_length(text: str) -> int:
    return min(_MOST_BY_LENGTH, 1 + int(length_in_words(text) / _WORDS_FOR_ONE_MORE))


class _Maker:
    """Makes the queries of one document."""

    def __init__(
        self, text: str, above: list[str], phrases: KeyPhrases, options: RulesOptions, generator: random.Random
    ) -> None:
        found = find_sections(text)
        self.text = text
        self.sections = Sections([*above, *found.headings], found.sentences)
        self.phrases = phrases
        self.options = options
        self.generator = generator

    def queries(self, kinds: Mapping[str, float], count: int) -> dict[str, str]:
        """Returns query → kind; a kind that gave nothing new is tried a few times, then another is dealt."""
        found: dict[str, str] = {}
        for _ in range(_ATTEMPTS):
            for kind, wanted in deal_kinds(kinds, count - len(found), self.generator).items():
                for _ in range(wanted):
                    query = " ".join(self._made(kind).split())
                    if length_in_words(query) >= _FEWEST_WORDS:
                        found.setdefault(query, kind)
        return found

    def _made(self, kind: str) -> str:
        if kind == "keywords":
            return self._keywords()
        query = self._title() if kind == "title" else self._span()
        if self.options.copies == "reword" and query and stands_in(query, self.text):
            return telegraphic(query, self.options.dropped_words, self.generator)
        return query

    def _title(self) -> str:
        if self.sections.headings:
            return " ".join(dict.fromkeys(self.sections.headings[-2:]))
        first = self.sections.sentences[0] if self.sections.sentences else ""
        fewest = min(self.options.fewest_span_words, len(words_of(first)))
        return crop(first, fewest, self.options.most_span_words)

    def _span(self) -> str:
        later = self.sections.sentences[1:] or self.sections.sentences
        if not later:
            return ""
        sentence = self.generator.choice(later)
        return crop(sentence, self.options.fewest_span_words, self.options.most_span_words, self.generator)

    def _keywords(self) -> str:
        fewest = min(self.options.fewest_phrases, len(self._phrases))
        most = min(self.options.most_phrases, len(self._phrases))
        return " ".join(self.generator.sample(self._phrases, self.generator.randint(fewest, max(fewest, most))))

    @cached_property
    def _phrases(self) -> list[str]:
        return self.phrases.of(self.text, _PHRASES_LOOKED_AT)
