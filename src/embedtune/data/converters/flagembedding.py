"""FlagEmbedding's training files: {"query", "pos": […], "neg": […]} a line, with scores and a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from embedtune.data.building import ConverterOptions, DatasetBuilder
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.records import Record, read_records, record_files, split_in_name, text_in, texts_in, value_in
from embedtune.data.text_files import existing_path
from embedtune.errors import DataError

__all__ = ["OPTIONS", "FlagembeddingOptions", "convert"]

_LAYOUT = 'a JSONL file of {"query", "pos", "neg"} rows, or a folder of them'


class FlagembeddingOptions(ConverterOptions):
    """How FlagEmbedding's files are read."""


OPTIONS = FlagembeddingOptions


def convert(source: str | Path | None, options: FlagembeddingOptions) -> RetrievalDataset:
    """Returns the dataset; the split is what the file's name says, as in train.jsonl.

    `pos_scores` and `neg_scores` go to the extra field `scores` (query id → document id →
    score), `prompt` to `prompts` (query id → prompt).
    """
    builder = DatasetBuilder(str(source), options)
    scores: dict[str, dict[str, float]] = {}
    prompts: dict[str, str] = {}
    for path in record_files(existing_path(source, _LAYOUT)):
        split = split_in_name(path)
        for record in read_records(path):
            query_id = builder.query_with_text(text_in(record, "query"), record.place, split)
            scored = _add_row(builder, record, query_id)
            if scored:
                scores.setdefault(query_id, {}).update(scored)
            if record.values.get("prompt"):
                prompts[query_id] = text_in(record, "prompt")
    extra: dict[str, Any] = {"scores": scores, "prompts": prompts}
    return builder.build({name: value for name, value in extra.items() if value})


def _add_row(builder: DatasetBuilder, record: Record, query_id: str) -> dict[str, float]:
    """Adds a row's documents; returns their scores, by document id."""
    value_in(record, "pos")
    scored: dict[str, float] = {}
    for column in ("pos", "neg"):
        ids = [builder.document_with_text(text, record.place) for text in texts_in(record, column)]
        for document_id in ids:
            if column == "pos":
                builder.judge(query_id, document_id)
            else:
                builder.add_negative(query_id, document_id)
        scores = record.values.get(f"{column}_scores")
        if scores is not None:
            scored.update(zip(ids, _checked(scores, ids, f"{column}_scores", record.place), strict=True))
    return scored


def _checked(scores: Any, ids: list[str], column: str, place: str) -> list[float]:
    if not isinstance(scores, list) or len(scores) != len(ids):
        found = f"{len(scores)} scores" if isinstance(scores, list) else type(scores).__name__
        raise DataError(f"{column}: expected {len(ids)} scores, one a document, found {found}", where=place)
    return scores
