"""Takes what is usable of a dataset that has faults, so that the rest can still be checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.faults import OPTIONAL_FIELDS, REQUIRED_FIELDS, Fault, find_faults
from embedtune.data.json_format import read_fields
from embedtune.data.table_folder import open_folder

__all__ = ["Usable", "read_usable", "without_faults"]


class Usable(NamedTuple):
    """What can be used of a dataset, and the faults that were left out of it."""

    dataset: RetrievalDataset
    faults: list[Fault]


def read_usable(path: Path) -> Usable:
    """Returns what can be used of a JSON file or folder of tables; raises DataError only where nothing can be read."""
    if path.is_dir():
        return Usable(open_folder(path), [])
    fields, repeated = read_fields(path)
    faults = [*repeated, *find_faults(fields)]
    return Usable(without_faults(fields), faults)


def without_faults(fields: Mapping[str, Any]) -> RetrievalDataset:
    """Returns the dataset of these fields without the entries that find_faults names."""
    found = {name: _object(fields.get(name)) for name in (*REQUIRED_FIELDS, *OPTIONAL_FIELDS)}
    queries, corpus = _texts(found["queries"]), _texts(found["corpus"])
    return RetrievalDataset(
        queries=queries,
        corpus=corpus,
        relevant_docs={
            query_id: judged
            for query_id, documents in found["relevant_docs"].items()
            if query_id in queries and (judged := _judged(documents, corpus)) is not None
        },
        negative_docs={
            query_id: [d for d in documents if isinstance(d, str) and d in corpus]
            for query_id, documents in found["negative_docs"].items()
            if query_id in queries and isinstance(documents, list)
        },
        reference_answers={
            query_id: answer
            for query_id, answer in found["reference_answers"].items()
            if query_id in queries and (answer is None or isinstance(answer, str))
        },
        queries_split={
            split: [q for q in query_ids if isinstance(q, str) and q in queries]
            for split, query_ids in found["queries_split"].items()
            if isinstance(query_ids, list)
        },
        extra={name: value for name, value in fields.items() if name not in found},
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(texts: Mapping[str, Any]) -> dict[str, str]:
    return {text_id: text for text_id, text in texts.items() if isinstance(text, str) and text.strip()}


def _judged(documents: Any, corpus: Mapping[str, str]) -> list[str] | dict[str, float] | None:
    if isinstance(documents, Mapping):
        return {
            document_id: grade
            for document_id, grade in documents.items()
            if document_id in corpus and isinstance(grade, int | float) and not isinstance(grade, bool)
        }
    if isinstance(documents, list):
        return [document_id for document_id in documents if isinstance(document_id, str) and document_id in corpus]
    return None
