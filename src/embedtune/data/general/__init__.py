"""A small retrieval dataset over many subjects, English and Chinese, that the project wrote itself.

It is the guard of whoever has none of their own: a model tuned on one subject should still find these documents.
The texts are in `dataset.json`, in the dataset format, under the project's licence; no text was copied. Documents
come in groups of near neighbours (`en-tea-1` to `en-tea-4`), and many queries share few words with their document.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.languages import language_of

__all__ = ["GENERAL", "GeneralLanguage", "general_guard", "general_guards", "general_half"]

GeneralLanguage = Literal["en", "zh"]

GENERAL = Path(__file__).with_name("dataset.json")
"""The dataset's file; every command takes it."""

_LANGUAGES: tuple[GeneralLanguage, ...] = ("en", "zh")
_QUERIES_LOOKED_AT = 500
_LEAST_SHARE = 0.05


def general_guard() -> RetrievalDataset:
    """Returns the general set: one corpus in two languages; all queries are in the split "test"."""
    return RetrievalDataset.read(GENERAL)


def general_half(language: GeneralLanguage) -> RetrievalDataset:
    """Returns the general set's documents and queries in one language."""
    general = general_guard()
    queries = {query_id: text for query_id, text in general.queries.items() if query_id.startswith(f"q-{language}-")}
    return RetrievalDataset(
        queries=queries,
        corpus={name: text for name, text in general.corpus.items() if name.startswith(f"{language}-")},
        relevant_docs={query_id: general.relevant_docs[query_id] for query_id in queries},
        queries_split={"test": list(queries)},
    )


def general_guards(dataset: RetrievalDataset) -> dict[str, RetrievalDataset]:
    """Returns the halves in the languages that a dataset's queries are written in, by name; both if it's neither.

    A half in a language that the model isn't used for would hide losses or add chance.
    """
    asked = list(dataset.queries.values())
    looked_at = asked[:: max(1, len(asked) // _QUERIES_LOOKED_AT)]
    found = [_language(text) for text in looked_at]
    used = [language for language in _LANGUAGES if found.count(language) > _LEAST_SHARE * len(found)]
    return {f"general-{language}": general_half(language) for language in used or _LANGUAGES}


def _language(text: str) -> GeneralLanguage | None:
    language = language_of(text)
    if language.startswith("Chinese"):
        return "zh"
    return "en" if language == "Latin script" else None
