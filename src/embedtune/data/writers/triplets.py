"""sentence-transformers triplets: a SPLIT.jsonl of {"anchor", "positive", "negative"} rows for each split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.writing import (
    WriterOptions,
    labelled_query_ids,
    layout_folder,
    texts_only_losses,
    write_json_lines,
)

__all__ = ["KIND", "write"]

KIND = "triplets dataset"
_UNSPLIT = "queries"


def write(dataset: RetrievalDataset, path: Path, options: WriterOptions) -> list[str]:
    """Writes the folder; queries without a negative go to SPLIT.pairs.jsonl, as files hold one kind of row.

    A query takes as many rows as it has documents or negatives, whichever are more; the fewer
    ones come again, so that each is there and none is paired with all.
    """
    with layout_folder(dataset, path, KIND, options) as folder:
        for split, query_ids in labelled_query_ids(dataset):
            name = split or _UNSPLIT
            triplets = [query_id for query_id in query_ids if dataset.negative_docs.get(query_id)]
            pairs = [query_id for query_id in query_ids if not dataset.negative_docs.get(query_id)]
            if triplets or not pairs:
                write_json_lines(folder / f"{name}.jsonl", _rows(dataset, triplets))
            if pairs:
                write_json_lines(folder / f"{name}.pairs.jsonl", _rows(dataset, pairs))
    return texts_only_losses(dataset)


def _rows(dataset: RetrievalDataset, query_ids: list[str]) -> Iterator[dict[str, str]]:
    for query_id in query_ids:
        positives = [dataset.corpus[document_id] for document_id in dataset.positives(query_id)]
        negatives = [dataset.corpus[document_id] for document_id in dataset.negative_docs.get(query_id, ())]
        for turn in range(max(len(positives), len(negatives))):
            row = {"anchor": dataset.queries[query_id], "positive": positives[turn % len(positives)]}
            yield row | ({"negative": negatives[turn % len(negatives)]} if negatives else {})
