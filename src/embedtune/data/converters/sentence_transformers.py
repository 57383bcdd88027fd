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
    its grade. All scores, also those of n-tuples (one for the positive and one for each negative),
    go to the extra field `scores` (query id → document id → score), which the losses cosent,
    margin-mse and distill-kl learn from.
    """
    if source is None:
        existing_path(source, "a JSONL, CSV or Parquet file, a folder of them, or a dataset's name on the Hub")
    place = hub_dataset(str(source), options.revision, [README, *(f"*{suffix}*" for suffix in RECORD_SUFFIXES)])
    builder = DatasetBuilder(str(source), options)
    scores: dict[str, dict[str, float]] = {}
    for file in _files(place.folder, options.config):
        split = split_in_name(Path(file.split)) or split_in_name(file.path)
        for record in read_records(file.path):
            scored = _add_row(builder, record, _columns(record, options), split, options.relevant_from)
            for query_id, found in scored.items():
                scores.setdefault(query_id, {}).update(found)
    extra = {"source": dict(place.origin), "scores": scores}
    return builder.build({name: value for name, value in extra.items() if value})


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
) -> dict[str, dict[str, float]]:
    """Adds a row; returns the scores of its documents, by query id."""
    query_id = builder.query_with_text(text_in(record, columns.anchor), record.place, split)
    documents = [builder.document_with_text(text, record.place) for text in texts_in(record, columns.positive) or [""]]
    texts = [text for column in columns.negatives for text in texts_in(record, column) if text]
    negatives = [builder.document_with_text(text, record.place) for text in texts]
    scores = _scores(builder, record, columns, len(documents), len(negatives))
    for place, document_id in enumerate(documents):
        score = scores[place] if scores and not negatives else None
        if score is None or score >= relevant_from:
            builder.judge(query_id, document_id, 1 if score is None else score)
        else:
            builder.add_negative(query_id, document_id)
    for document_id in negatives:
        builder.add_negative(query_id, document_id)
    return {query_id: dict(zip([*documents, *negatives], scores, strict=True))} if scores else {}


def _scores(builder: DatasetBuilder, record: Record, columns: _Columns, documents: int, negatives: int) -> list[float]:
    """Returns a score for each document and each negative; none where the layout gives none."""
    value: Any = None if columns.score is None else record.values[columns.score]
    if value is None:
        return []
    values = value if isinstance(value, list) else [value]
    try:
        scores = [number_of(score) for score in values]
    except ValueError:
        raise DataError(f"{columns.score}: expected a number, found {value!r:.80}", where=record.place) from None
    if len(scores) == documents + negatives:
        return scores
    if negatives:
        builder.skipped["scores of n-tuples that aren't one for each document (margins, say)"] += 1
        return []
    raise DataError(f"{columns.score}: {len(scores)} scores for {documents} documents", where=record.place)
