"""What the writers of other layouts share: their folder, and the words for what a layout can't hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pydantic import Field

from embedtune.artifact import Artifact
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import DataError
from embedtune.options import Options

__all__ = ["WriterOptions", "labelled_query_ids", "layout_folder", "texts_only_losses", "write_json_lines"]

USUAL_SPLITS = ("train", "val", "test")


class WriterOptions(Options):
    """What every writer can be told."""

    overwrite: bool = Field(default=False, description="Replace what an earlier import wrote to --out.")


def layout_folder(
    dataset: RetrievalDataset, path: Path, kind: str, options: WriterOptions
) -> AbstractContextManager[Path]:
    """Returns a context manager that yields a folder to fill; it becomes `path` only if all goes well."""
    made_from = {"documents": len(dataset.corpus), "queries": len(dataset.queries)}
    return Artifact.create(path, kind, made_from, overwrite=options.overwrite)


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes one JSON object a line; half of a surrogate pair is written as JSON's escape."""
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def labelled_query_ids(dataset: RetrievalDataset) -> Iterator[tuple[str | None, list[str]]]:
    """Yields each split, then None for the queries in no split, with the queries that have a relevant document."""
    for split, query_ids in dataset.queries_split.items():
        if not split or Path(split).name != split or split.startswith("."):
            raise DataError(f"the split {split!r} can't be the name of a file", where="queries_split")
        yield split, [query_id for query_id in query_ids if dataset.positives(query_id)]
    divided = {query_id for query_ids in dataset.queries_split.values() for query_id in query_ids}
    rest = [query_id for query_id in dataset.queries if query_id not in divided and dataset.positives(query_id)]
    if rest:
        yield None, rest


def texts_only_losses(dataset: RetrievalDataset, kept_extra: Iterable[str] = ()) -> list[str]:
    """Returns what is lost by a layout that holds the texts of queries, documents and negatives alone."""
    losses = ["all ids: reading gives new ones"]
    named = {document_id for query_id in dataset.queries for document_id in _documents_named(dataset, query_id)}
    unnamed = len(dataset.corpus) - len(named)
    unlabelled = sum(not dataset.positives(query_id) for query_id in dataset.queries)
    graded = sum(any(grade != 1 for grade in dataset.grades(query_id).values()) for query_id in dataset.queries)
    other_splits = sorted(set(dataset.queries_split) - set(USUAL_SPLITS))
    repeated = _repeated_texts(dataset)
    losses += _counted(unnamed, "documents that no query names")
    losses += _counted(unlabelled, "queries without a relevant document")
    losses += _counted(graded, "queries' grades: every relevant document counts alike")
    losses += _counted(repeated, "queries with the text of another: reading makes them one")
    losses += _counted(sum(answer is not None for answer in dataset.reference_answers.values()), "reference answers")
    losses += [f"the split {split!r}: reading knows only {', '.join(USUAL_SPLITS)}" for split in other_splits]
    return losses + [f"the extra field {name!r}" for name in dataset.extra if name not in kept_extra]


def _documents_named(dataset: RetrievalDataset, query_id: str) -> list[str]:
    positives = dataset.positives(query_id)
    return positives + list(dataset.negative_docs.get(query_id, ())) if positives else []


def _repeated_texts(dataset: RetrievalDataset) -> int:
    split_of = {query_id: split for split, ids in dataset.queries_split.items() for query_id in ids}
    return len(dataset.queries) - len({(split_of.get(query_id), text) for query_id, text in dataset.queries.items()})


def _counted(count: int, what: str) -> list[str]:
    return [f"{count} {what}"] if count else []
