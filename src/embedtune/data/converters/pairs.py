"""Any table of queries and documents: CSV, TSV, JSON Lines or Parquet with named columns."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from embedtune.data.building import ConverterOptions, DatasetBuilder
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.records import (
    Record,
    grade_in,
    id_in,
    read_records,
    record_files,
    split_called,
    split_in_name,
    text_in,
    texts_in,
    value_in,
)
from embedtune.data.text_files import existing_path

__all__ = ["OPTIONS", "PairsOptions", "convert"]


class PairsOptions(ConverterOptions):
    """Which column holds what; columns that aren't named here are left out."""

    query_column: str = Field(default="query", description="Column of the query's text.")
    document_column: str = Field(default="document", description="Column of the document's text, or a list of texts.")
    negative_column: str | None = Field(
        default=None, description="Column of a document that doesn't answer the query, or a list of them."
    )
    grade_column: str | None = Field(
        default=None,
        description="Column of the document's grade; 0 is a negative. Default: every document is relevant.",
    )
    answer_column: str | None = Field(default=None, description="Column of the reference answer.")
    split_column: str | None = Field(
        default=None, description="Column that names the split; default: train, val or test as the file's name says."
    )
    query_id_column: str | None = Field(
        default=None, description="Column of the query's id; default: the same text is the same query."
    )
    document_id_column: str | None = Field(
        default=None, description="Column of the document's id; default: the same text is the same document."
    )


OPTIONS = PairsOptions


def convert(source: str | Path | None, options: PairsOptions) -> RetrievalDataset:
    """Returns the dataset of a file, or of all files of a folder."""
    builder = DatasetBuilder(str(source), options)
    for path in record_files(existing_path(source, "a CSV, TSV, JSONL or Parquet file, or a folder of them")):
        file_split = split_in_name(path)
        for record in read_records(path):
            _add_row(builder, record, file_split, options)
    return builder.build()


def _add_row(builder: DatasetBuilder, record: Record, file_split: str | None, options: PairsOptions) -> None:
    query_id = _add_query(builder, record, file_split, options)
    grade = 1 if options.grade_column is None else grade_in(record, options.grade_column)
    for document_id in _add_documents(builder, record, options):
        if grade > 0:
            builder.judge(query_id, document_id, grade)
        else:
            builder.add_negative(query_id, document_id)
    if options.negative_column is not None:
        value_in(record, options.negative_column)
        for text in filter(None, texts_in(record, options.negative_column)):
            builder.add_negative(query_id, builder.document_with_text(text, record.place))
    if options.answer_column is not None and text_in(record, options.answer_column):
        builder.answers[query_id] = text_in(record, options.answer_column)


def _add_query(builder: DatasetBuilder, record: Record, file_split: str | None, options: PairsOptions) -> str:
    split = file_split if options.split_column is None else text_in(record, options.split_column) or None
    split = split_called(split) if split else None
    text = text_in(record, options.query_column)
    if options.query_id_column is None:
        return builder.query_with_text(text, record.place, split)
    query_id = id_in(record, options.query_id_column)
    builder.add_query(query_id, text, record.place, split)
    return query_id


def _add_documents(builder: DatasetBuilder, record: Record, options: PairsOptions) -> list[str]:
    value_in(record, options.document_column)
    if options.document_id_column is None:
        texts = texts_in(record, options.document_column) or [""]
        return [builder.document_with_text(text, record.place) for text in texts]
    document_id = id_in(record, options.document_id_column)
    builder.add_document(document_id, text_in(record, options.document_column), record.place)
    return [document_id]
