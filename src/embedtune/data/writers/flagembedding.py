"""FlagEmbedding's training files: a SPLIT.jsonl of {"query", "pos": […], "neg": […]} rows for each split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.writing import (
    WriterOptions,
    labelled_query_ids,
    layout_folder,
    texts_only_losses,
    write_json_lines,
)

__all__ = ["KIND", "write"]

KIND = "flagembedding dataset"
_UNSPLIT = "queries"


def write(dataset: RetrievalDataset, path: Path, options: WriterOptions) -> list[str]:
    """Writes the folder, with the extra fields `scores` and `prompts` as that converter reads them."""
    with layout_folder(dataset, path, KIND, options) as folder:
        for split, query_ids in labelled_query_ids(dataset):
            rows = (_row(dataset, query_id) for query_id in query_ids)
            write_json_lines(folder / f"{split or _UNSPLIT}.jsonl", rows)
    return texts_only_losses(dataset, kept_extra=("scores", "prompts"))


def _row(dataset: RetrievalDataset, query_id: str) -> dict[str, Any]:
    scores = dataset.extra.get("scores", {}).get(query_id, {})
    row: dict[str, Any] = {"query": dataset.queries[query_id]}
    ids_of = {"pos": dataset.positives(query_id), "neg": list(dataset.negative_docs.get(query_id, ()))}
    for column, document_ids in ids_of.items():
        row[column] = [dataset.corpus[document_id] for document_id in document_ids]
        if scores and all(document_id in scores for document_id in document_ids):
            row[f"{column}_scores"] = [scores[document_id] for document_id in document_ids]
    prompt = dataset.extra.get("prompts", {}).get(query_id)
    return row if prompt is None else row | {"prompt": prompt}
