"""Finds every fault of a dataset's fields: wrong types, empty texts, ids that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from embedtune.errors import DataError

__all__ = [
    "OPTIONAL_FIELDS",
    "REQUIRED_FIELDS",
    "Fault",
    "find_faults",
    "judgement_faults",
    "kind_of",
    "list_faults",
    "raise_if_any",
]

REQUIRED_FIELDS = ("queries", "corpus", "relevant_docs")
OPTIONAL_FIELDS = ("negative_docs", "reference_answers", "queries_split")
_SHOWN_FAULTS = 20

FaultCode = Literal[
    "missing-field", "wrong-type", "repeated-id", "empty-queries", "empty-documents", "unknown-documents",
    "unknown-queries",
]  # fmt: skip


class Fault(NamedTuple):
    """One fault: its code, the sentence with field and id, and the id it is about."""

    code: FaultCode
    message: str
    id: str = ""


def find_faults(fields: Mapping[str, Any]) -> Iterator[Fault]:
    """Yields each fault of a parsed dataset, in the order of the fields."""
    for name in REQUIRED_FIELDS:
        if name not in fields:
            yield Fault("missing-field", f"{name}: missing; a dataset needs {', '.join(REQUIRED_FIELDS)}", name)
    objects: dict[str, Mapping[str, Any]] = {}
    for name in (*REQUIRED_FIELDS, *OPTIONAL_FIELDS):
        value = fields.get(name, {})
        if isinstance(value, Mapping):
            objects[name] = value
        elif not (value is None and name in OPTIONAL_FIELDS):
            yield Fault("wrong-type", f"{name}: expected an object, found {kind_of(value)}", name)
    queries, corpus = objects.get("queries"), objects.get("corpus")
    if queries is not None:
        yield from _text_faults("queries", queries)
    if corpus is not None:
        if not corpus and "corpus" in fields:
            yield Fault("missing-field", "corpus: it has no documents", "corpus")
        yield from _text_faults("corpus", corpus)
    yield from judgement_faults("relevant_docs", objects.get("relevant_docs", {}), queries, corpus)
    yield from _negative_faults(objects.get("negative_docs", {}), queries, corpus)
    yield from _answer_faults(objects.get("reference_answers", {}), queries)
    yield from _split_faults(objects.get("queries_split", {}), queries)


def judgement_faults(
    name: str,
    judged: Mapping[str, Any],
    queries: Mapping[str, Any] | None,
    corpus: Mapping[str, Any] | None,
) -> Iterator[Fault]:
    """Yields the faults of relevant_docs or qrels; without `queries` and `corpus` ids are taken as they are."""
    for query_id, documents in judged.items():
        yield from _unknown_query(name, query_id, queries)
        if isinstance(documents, Mapping):
            for document_id, grade in documents.items():
                if isinstance(grade, bool) or not isinstance(grade, int | float):
                    place = f"{name}[{query_id!r}][{document_id!r}]"
                    yield Fault("wrong-type", f"{place}: expected a grade, found {kind_of(grade)}", query_id)
        elif not isinstance(documents, list) or name == "qrels":
            expected = "document id → grade" if name == "qrels" else "a list of document ids"
            yield Fault(
                "wrong-type", f"{name}[{query_id!r}]: expected {expected}, found {kind_of(documents)}", query_id
            )
            continue
        yield from _document_faults(f"{name}[{query_id!r}]", query_id, documents, corpus)


def _text_faults(name: str, texts: Mapping[str, Any]) -> Iterator[Fault]:
    if isinstance(texts, dict) and _all_filled(texts):
        return
    empty: FaultCode = "empty-queries" if name == "queries" else "empty-documents"
    for text_id, text in texts.items():
        if not isinstance(text, str):
            yield Fault("wrong-type", f"{name}[{text_id!r}]: expected a text, found {kind_of(text)}", text_id)
        elif not text or text.isspace():
            yield Fault(empty, f"{name}[{text_id!r}]: the text is empty", text_id)


def _all_filled(texts: dict[str, Any]) -> bool:
    """Returns whether each is a text with something in it, without a step of Python for each."""
    return (
        {str}.issuperset(map(type, texts.values()))
        and all(texts.values())
        and not any(map(str.isspace, texts.values()))
    )


def _negative_faults(
    negatives: Mapping[str, Any], queries: Mapping[str, Any] | None, corpus: Mapping[str, Any] | None
) -> Iterator[Fault]:
    for query_id, documents in negatives.items():
        yield from _unknown_query("negative_docs", query_id, queries)
        place = f"negative_docs[{query_id!r}]"
        if isinstance(documents, list):
            yield from _document_faults(place, query_id, documents, corpus)
        else:
            message = f"{place}: expected a list of document ids, found {kind_of(documents)}"
            yield Fault("wrong-type", message, query_id)


def _answer_faults(answers: Mapping[str, Any], queries: Mapping[str, Any] | None) -> Iterator[Fault]:
    for query_id, answer in answers.items():
        yield from _unknown_query("reference_answers", query_id, queries)
        if not (answer is None or isinstance(answer, str)):
            message = f"reference_answers[{query_id!r}]: expected a text, found {kind_of(answer)}"
            yield Fault("wrong-type", message, query_id)


def _split_faults(splits: Mapping[str, Any], queries: Mapping[str, Any] | None) -> Iterator[Fault]:
    for split, query_ids in splits.items():
        place = f"queries_split[{split!r}]"
        if not isinstance(query_ids, list):
            yield Fault("wrong-type", f"{place}: expected a list of query ids, found {kind_of(query_ids)}", split)
            continue
        for query_id in query_ids:
            if not isinstance(query_id, str):
                message = f"{place}: expected query ids, found {kind_of(query_id)} {query_id!r}"
                yield Fault("wrong-type", message, split)
            else:
                yield from _unknown_query(place, query_id, queries)


def _unknown_query(place: str, query_id: str, queries: Mapping[str, Any] | None) -> Iterator[Fault]:
    if queries is not None and query_id not in queries:
        yield Fault("unknown-queries", f"{place}: the query id {query_id!r} isn't in queries", query_id)


def _document_faults(
    place: str, query_id: str, document_ids: Iterable[Any], corpus: Mapping[str, Any] | None
) -> Iterator[Fault]:
    for document_id in document_ids:
        if not isinstance(document_id, str):
            message = f"{place}: expected document ids, found {kind_of(document_id)} {document_id!r}"
            yield Fault("wrong-type", message, query_id)
        elif corpus is not None and document_id not in corpus:
            yield Fault("unknown-documents", f"{place}: the document id {document_id!r} isn't in corpus", document_id)


def raise_if_any(faults: list[Fault], where: str) -> None:
    """Raises DataError with the faults, the first of them in full."""
    if not faults:
        return
    remedy = "mend or remove these entries (embedtune check --fix writes a copy without them); nothing was changed"
    raise DataError(list_faults("dataset", [fault.message for fault in faults]), where=where, remedy=remedy)


def list_faults(subject: str, messages: Sequence[str]) -> str:
    """Returns "the dataset has 3 faults:" and a line for each of the first twenty."""
    count = "1 fault" if len(messages) == 1 else f"{len(messages)} faults"
    lines = [f"the {subject} has {count}:", *(f"  - {message}" for message in messages[:_SHOWN_FAULTS])]
    if len(messages) > _SHOWN_FAULTS:
        lines.append(f"  … and {len(messages) - _SHOWN_FAULTS} more")
    return "\n".join(lines)


def kind_of(value: Any) -> str:
    """Returns the word for a JSON value's type."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
