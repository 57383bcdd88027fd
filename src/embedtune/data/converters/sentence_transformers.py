"""sentence-transformers' training data: pairs, triplets, n-tuples and scored pairs, from files or the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from embedtune.data.building import ConverterOptions, DatasetBuilder
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.hub import hub_dataset
from embedtune.data.hub_configs import README, HubFile, hub_files
from embedtune.data.records import (
    RECORD_SUFFIXES,
    Record,
    missing_column,
    number_of,
    read_records,
    split_in_name,
    text_in,
    texts_in,
)
from embedtune.data.text_files import existing_path
from embedtune.errors import DataError, describe_unknown

__all__ = ["OPTIONS", "SentenceTransformersOptions", "convert"]

_ANCHORS = ("anchor", "query", "question", "sentence1", "premise", "text1")
_POSITIVES = (
    "positive",
    "answer",
    "document",
    "docs",
    "passage",
    "response",
    "sentence2",
    "hypothesis",
    "text2",
    "pos",
)
_NEGATIVES = ("negative", "neg")
_SCORES = ("score", "label", "scores", "labels", "similarity", "similarity_score")


class SentenceTransformersOptions(ConverterOptions):
    """Which columns and configuration are read."""

    anchor_column: str | None = Field(
        default=None, description="Column of the query; default: anchor, query, question, sentence1."
    )
    positive_column: str | None = Field(
        default=None, description="Column of the document; default: positive, answer, document, sentence2."
    )
    relevant_from: float = Field(
        default=0.5, description="A scored pair with at least this score is relevant, with less it is a negative."
    )
    config: str | None = Field(default=None, description="Configuration of a Hub dataset, such as triplet.")
    revision: str | None = Field(default=None, description="Branch, tag or commit on the Hub; default: the newest.")


OPTIONS = SentenceTransformersOptions


class _Columns(NamedTuple):
    anchor: str
    positive: str
    negatives: list[str]
    score: str | None


def convert(source: str | Path | None, options: SentenceTransformersOptions) -> RetrievalDataset:
    """Returns the dataset of files or of a Hub name; the same text is the same query or document.

    Every column whose name begins with negative holds negatives. The score of a relevant pair is
    its grade. A list of scores beside negatives (for distillation) has no place and is left out.
    """
    if source is None:
        existing_path(source, "a JSONL, CSV or Parquet file, a folder of them, or a dataset's name on the Hub")
    place = hub_dataset(str(source), options.revision, [README, *(f"*{suffix}*" for suffix in RECORD_SUFFIXES)])
    builder = DatasetBuilder(str(source), options)
    for file in _files(place.folder, options.config):
        split = split_in_name(Path(file.split)) or split_in_name(file.path)
        for record in read_records(file.path):
            _add_row(builder, record, _columns(record, options), split, options.relevant_from)
    return builder.build({"source": dict(place.origin)} if place.origin else None)


def _files(folder: Path, config: str | None) -> list[HubFile]:
    files = hub_files(folder)
    configs = sorted({file.config for file in files})
    chosen = config or (configs[0] if len(configs) == 1 else "default")
    if chosen not in configs:
        raise DataError(describe_unknown("configuration", chosen, configs), remedy="name one with --config")
    return [file for file in files if file.config == chosen]


def _columns(record: Record, options: SentenceTransformersOptions) -> _Columns:
    anchor = _find(record, options.anchor_column, _ANCHORS)
    positive = _find(record, options.positive_column, _POSITIVES)
    negatives = [name for name in record.values if name.startswith(_NEGATIVES)]
    score = next((name for name in _SCORES if name in record.values and name not in (anchor, positive)), None)
    return _Columns(anchor, positive, negatives, score)


def _find(record: Record, named: str | None, usual: tuple[str, ...]) -> str:
    names = (named,) if named else usual
    for name in names:
        if name in record.values:
            return name
    raise missing_column(names[0], record.values, record.place)


def _add_row(
    builder: DatasetBuilder, record: Record, columns: _Columns, split: str | None, relevant_from: float
) -> None:
    query_id = builder.query_with_text(text_in(record, columns.anchor), record.place, split)
    texts = texts_in(record, columns.positive) or [""]
    document_ids = [builder.document_with_text(text, record.place) for text in texts]
    for document_id, score in zip(document_ids, _scores(builder, record, columns, len(texts)), strict=True):
        if score is None or score >= relevant_from:
            builder.judge(query_id, document_id, 1 if score is None else score)
        else:
            builder.add_negative(query_id, document_id)
    for column in columns.negatives:
        for text in filter(None, texts_in(record, column)):
            builder.add_negative(query_id, builder.document_with_text(text, record.place))


def _scores(builder: DatasetBuilder, record: Record, columns: _Columns, count: int) -> list[float | None]:
    """Returns a score for each document, None where the layout gives none."""
    value: Any = None if columns.score is None else record.values[columns.score]
    if value is None:
        return [None] * count
    if columns.negatives:
        builder.skipped["scores of triplets (the dataset has no place for them)"] += 1
        return [None] * count
    values = value if isinstance(value, list) else [value]
    try:
        scores = [number_of(score) for score in values]
    except ValueError:
        raise DataError(f"{columns.score}: expected a number, found {value!r:.80}", where=record.place) from None
    if len(scores) != count:
        raise DataError(f"{columns.score}: {len(scores)} scores for {count} documents", where=record.place)
    return list(scores)
