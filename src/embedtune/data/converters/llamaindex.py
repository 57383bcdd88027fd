"""LlamaIndex's EmbeddingQAFinetuneDataset: {"queries", "corpus", "relevant_docs"} in a JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from embedtune.data.building import ConverterOptions, DatasetBuilder
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.records import Record, parse_json, split_in_name, value_in
from embedtune.data.text_files import existing_path, plain_suffix, read_text
from embedtune.errors import DataError

__all__ = ["OPTIONS", "LlamaindexOptions", "convert"]

_LAYOUT = 'a JSON file with "queries", "corpus" and "relevant_docs", or a folder of them'


class LlamaindexOptions(ConverterOptions):
    """How LlamaIndex's files are read."""

    split: str | None = Field(
        default=None, description="Split of all queries; default: train, val or test as the file's name says."
    )


OPTIONS = LlamaindexOptions


def convert(source: str | Path | None, options: LlamaindexOptions) -> RetrievalDataset:
    """Returns the dataset of one file, or of a folder's files together (train.json, val.json)."""
    root = existing_path(source, _LAYOUT)
    files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if plain_suffix(path) == ".json")
    if not files:
        raise DataError(f"no .json file is in {root}", remedy=f"give {_LAYOUT}")
    builder = DatasetBuilder(str(source), options)
    for path in files:
        content = parse_json(read_text(path), str(path))
        if not isinstance(content, dict):
            raise DataError(f"expected an object, found {type(content).__name__}", where=str(path))
        _add(builder, Record(content, str(path)), options.split or split_in_name(path))
    return builder.build()


def _add(builder: DatasetBuilder, record: Record, split: str | None) -> None:
    for document_id, text in _object(record, "corpus").items():
        builder.add_document(document_id, _text(text, f"corpus[{document_id!r}]", record.place), record.place)
    for query_id, text in _object(record, "queries").items():
        builder.add_query(query_id, _text(text, f"queries[{query_id!r}]", record.place), record.place, split)
    for query_id, document_ids in _object(record, "relevant_docs").items():
        if not isinstance(document_ids, list):
            raise DataError(f"relevant_docs[{query_id!r}]: expected a list of document ids", where=record.place)
        for document_id in document_ids:
            builder.judge(query_id, _text(document_id, f"relevant_docs[{query_id!r}]", record.place))


def _object(record: Record, name: str) -> dict[str, Any]:
    value = value_in(record, name)
    if not isinstance(value, dict):
        raise DataError(f"{name}: expected an object, found {type(value).__name__}", where=record.place)
    return value


def _text(value: Any, name: str, place: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{name}: expected a text, found {value!r:.80}", where=place)
    return value
