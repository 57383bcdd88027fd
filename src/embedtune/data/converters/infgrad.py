"""The Hub dataset infgrad/retrieval_data_llm: a query, a document and a hard negative a row."""

from __future__ import annotations

import random
from pathlib import Path

from pydantic import Field

from embedtune.data.building import ConverterOptions, DatasetBuilder
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.hub import hub_dataset
from embedtune.data.hub_configs import README, hub_files
from embedtune.data.records import RECORD_SUFFIXES, read_records, text_in

__all__ = ["OPTIONS", "InfgradOptions", "convert"]

_HUB_NAME = "infgrad/retrieval_data_llm"
_QUERY, _POSITIVE, _NEGATIVE = "Query", "Positive Document", "Hard Negative Document"


class InfgradOptions(ConverterOptions):
    """How the rows are split."""

    val_fraction: float = Field(default=0.01, ge=0, lt=1, description="Share of queries in the val split.")
    seed: int = Field(default=42, description="Chooses the val queries.")
    revision: str | None = Field(default=None, description="Branch, tag or commit on the Hub; default: the newest.")


OPTIONS = InfgradOptions


def convert(source: str | Path | None, options: InfgradOptions) -> RetrievalDataset:
    """Returns the dataset; a repeated query keeps the documents and negatives of all its rows.

    Without a source the dataset is fetched from the Hub. Val queries are drawn one by one, as the
    case study draws them, so a document can be on both sides (`embedtune split` can mend that).
    """
    patterns = [README, *(f"*{suffix}*" for suffix in RECORD_SUFFIXES)]
    place = hub_dataset(source or _HUB_NAME, options.revision, patterns)
    builder = DatasetBuilder(str(source or _HUB_NAME), options)
    for file in hub_files(place.folder):
        for record in read_records(file.path):
            texts = [text_in(record, column) for column in (_QUERY, _POSITIVE, _NEGATIVE)]
            query_id = builder.query_with_text(texts[0], record.place)
            builder.judge(query_id, builder.document_with_text(texts[1], record.place))
            if texts[2]:
                builder.add_negative(query_id, builder.document_with_text(texts[2], record.place))
    _split(builder, options)
    return builder.build({"source": dict(place.origin)} if place.origin else None)


def _split(builder: DatasetBuilder, options: InfgradOptions) -> None:
    query_ids = list(builder.queries)
    val = set(random.Random(options.seed).sample(query_ids, int(options.val_fraction * len(query_ids))))
    for query_id in query_ids:
        builder.add_to_split("val" if query_id in val else "train", query_id)
