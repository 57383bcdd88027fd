"""Reads and writes the dataset's JSON file; reports every fault in it at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from embedtune.artifact import write_text_whole
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import DataError

__all__ = ["dataset_from_fields", "find_faults", "read_json", "read_qrels", "write_json"]

_REQUIRED = ("queries", "corpus", "relevant_docs")
_OPTIONAL = ("negative_docs", "reference_answers", "queries_split")
_SHOWN_FAULTS = 20


def read_json(path: Path) -> RetrievalDataset:
    """Returns the dataset in `path`; raises DataError with the place of each fault."""
    return dataset_from_fields(_parse(path), where=str(path))


def read_qrels(path: Path) -> dict[str, dict[str, float]]:
    """Returns graded judgements from a JSON file: query id → document id → grade."""
    qrels = _parse(path)
    faults = list(_faulty_judgements("qrels", qrels, None, None))
    _raise_if_any(faults, str(path))
    return {query_id: dict(grades) for query_id, grades in qrels.items()}


def write_json(dataset: RetrievalDataset, path: Path) -> None:
    """Writes the dataset as UTF-8 JSON, whole or not at all."""
    write_text_whole(path, json.dumps(dataset.to_fields(), ensure_ascii=False, indent=1) + "\n")


def dataset_from_fields(fields: Mapping[str, Any], where: str) -> RetrievalDataset:
    """Returns the dataset of a parsed JSON object; raises DataError with all faults."""
    _raise_if_any(list(find_faults(fields)), where)
    known = {name: fields[name] or {} for name in (*_REQUIRED, *_OPTIONAL) if name in fields}
    extra = {name: value for name, value in fields.items() if name not in known}
    return RetrievalDataset(**known, extra=extra)


def _parse(path: Path) -> dict[str, Any]:
    """Returns the JSON object in a file; line and column, or byte offset, are in the error."""
    remedy = "give the path of a dataset in embedtune's JSON format (see docs/datasets.md)"
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"there is no file {path}", remedy=remedy) from None
    except OSError as error:
        raise DataError(f"can't read {path}: {error.strerror}", remedy=remedy) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"not UTF-8: byte {raw[error.start]:#04x} at offset {error.start}",
            where=str(path),
            remedy="save the file as UTF-8; Chinese files are often GB18030",
        ) from None
    repeated: list[str] = []
    try:
        parsed = json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, repeated))
    except json.JSONDecodeError as error:
        raise DataError(
            f"broken JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            where=f"{path}:{error.lineno}:{error.colno}",
            remedy="mend the file there; a file cut off while it was copied ends like this too",
        ) from None
    except RecursionError:
        raise DataError("broken JSON: nested too deeply for a dataset", where=str(path)) from None
    if not isinstance(parsed, dict):
        raise DataError(f"expected a JSON object, found {_kind(parsed)}", where=str(path), remedy=remedy)
    _raise_if_any([f"the key {key!r} appears twice in one object" for key in repeated], str(path))
    return parsed


def _unique(pairs: list[tuple[str, Any]], repeated: list[str]) -> dict[str, Any]:
    """Builds a JSON object and notes the keys that `json` would silently have overwritten."""
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                repeated.append(key)
            seen.add(key)
    return result


def find_faults(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yields a line for each fault of a parsed dataset, with its field and id."""
    for name in _REQUIRED:
        if name not in fields:
            yield f"{name}: missing; a dataset needs {', '.join(_REQUIRED)}"
    objects: dict[str, Mapping[str, Any]] = {}
    for name in (*_REQUIRED, *_OPTIONAL):
        value = fields.get(name, {})
        if isinstance(value, dict):
            objects[name] = value
        elif not (value is None and name in _OPTIONAL):
            yield f"{name}: expected an object, found {_kind(value)}"
    queries, corpus = objects.get("queries"), objects.get("corpus")
    if queries is not None:
        yield from _faulty_texts("queries", queries)
    if corpus is not None:
        if not corpus and "corpus" in fields:
            yield "corpus: it has no documents"
        yield from _faulty_texts("corpus", corpus)
    yield from _faulty_judgements("relevant_docs", objects.get("relevant_docs", {}), queries, corpus)
    yield from _faulty_negatives(objects.get("negative_docs", {}), queries, corpus)
    yield from _faulty_answers(objects.get("reference_answers", {}), queries)
    yield from _faulty_splits(objects.get("queries_split", {}), queries)


def _faulty_texts(name: str, texts: Mapping[str, Any]) -> Iterator[str]:
    for text_id, text in texts.items():
        if not isinstance(text, str):
            yield f"{name}[{text_id!r}]: expected a text, found {_kind(text)}"
        elif not text.strip():
            yield f"{name}[{text_id!r}]: the text is empty"


def _faulty_judgements(
    name: str,
    judged: Mapping[str, Any],
    queries: Mapping[str, Any] | None,
    corpus: Mapping[str, Any] | None,
) -> Iterator[str]:
    """Without `queries` and `corpus` the ids are taken as they are."""
    for query_id, documents in judged.items():
        if queries is not None and query_id not in queries:
            yield f"{name}: the query id {query_id!r} isn't in queries"
        if isinstance(documents, dict):
            for document_id, grade in documents.items():
                if isinstance(grade, bool) or not isinstance(grade, int | float):
                    yield f"{name}[{query_id!r}][{document_id!r}]: expected a grade, found {_kind(grade)}"
        elif not isinstance(documents, list) or name == "qrels":
            expected = "document id → grade" if name == "qrels" else "a list of document ids"
            yield f"{name}[{query_id!r}]: expected {expected}, found {_kind(documents)}"
            continue
        yield from _dangling_documents(f"{name}[{query_id!r}]", documents, corpus)


def _faulty_negatives(
    negatives: Mapping[str, Any], queries: Mapping[str, Any] | None, corpus: Mapping[str, Any] | None
) -> Iterator[str]:
    for query_id, documents in negatives.items():
        if queries is not None and query_id not in queries:
            yield f"negative_docs: the query id {query_id!r} isn't in queries"
        if isinstance(documents, list):
            yield from _dangling_documents(f"negative_docs[{query_id!r}]", documents, corpus)
        else:
            yield f"negative_docs[{query_id!r}]: expected a list of document ids, found {_kind(documents)}"


def _faulty_answers(answers: Mapping[str, Any], queries: Mapping[str, Any] | None) -> Iterator[str]:
    for query_id, answer in answers.items():
        if queries is not None and query_id not in queries:
            yield f"reference_answers: the query id {query_id!r} isn't in queries"
        if not (answer is None or isinstance(answer, str)):
            yield f"reference_answers[{query_id!r}]: expected a text, found {_kind(answer)}"


def _faulty_splits(splits: Mapping[str, Any], queries: Mapping[str, Any] | None) -> Iterator[str]:
    for split, query_ids in splits.items():
        if not isinstance(query_ids, list):
            yield f"queries_split[{split!r}]: expected a list of query ids, found {_kind(query_ids)}"
            continue
        for query_id in query_ids:
            if not isinstance(query_id, str):
                yield f"queries_split[{split!r}]: expected query ids, found {_kind(query_id)} {query_id!r}"
            elif queries is not None and query_id not in queries:
                yield f"queries_split[{split!r}]: the query id {query_id!r} isn't in queries"


def _dangling_documents(place: str, document_ids: Any, corpus: Mapping[str, Any] | None) -> Iterator[str]:
    for document_id in document_ids:
        if not isinstance(document_id, str):
            yield f"{place}: expected document ids, found {_kind(document_id)} {document_id!r}"
        elif corpus is not None and document_id not in corpus:
            yield f"{place}: the document id {document_id!r} isn't in corpus"


def _raise_if_any(faults: list[str], where: str) -> None:
    if not faults:
        return
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    lines = [f"the dataset has {count}:", *(f"  - {fault}" for fault in faults[:_SHOWN_FAULTS])]
    if len(faults) > _SHOWN_FAULTS:
        lines.append(f"  … and {len(faults) - _SHOWN_FAULTS} more")
    raise DataError("\n".join(lines), where=where, remedy="mend or remove these entries; nothing was changed")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
