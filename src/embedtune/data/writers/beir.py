"""The BEIR layout: corpus.jsonl, queries.jsonl and a qrels/SPLIT.tsv for each split."""

from __future__ import annotations

from pathlib import Path

from embedtune.data.converters.beir import UNSPLIT
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.writing import WriterOptions, layout_folder, write_json_lines
from embedtune.errors import DataError

__all__ = ["KIND", "write"]

KIND = "beir dataset"
_FILE_NAMES = {"val": "dev"}


def write(dataset: RetrievalDataset, path: Path, options: WriterOptions) -> list[str]:
    """Writes the folder; val becomes dev, as BEIR calls it."""
    judged = {query_id for query_id in dataset.queries if dataset.grades(query_id)}
    files = _query_ids_of_files(dataset, judged)
    _refuse_tabs(dataset, judged)
    with layout_folder(dataset, path, KIND, options) as folder:
        documents = ({"_id": key, "title": "", "text": text} for key, text in dataset.corpus.items())
        write_json_lines(folder / "corpus.jsonl", documents)
        write_json_lines(
            folder / "queries.jsonl", ({"_id": key, "text": text} for key, text in dataset.queries.items())
        )
        (folder / "qrels").mkdir()
        for name, query_ids in files.items():
            _write_qrels(dataset, folder / "qrels" / f"{name}.tsv", query_ids)
    return _losses(dataset, judged)


def _query_ids_of_files(dataset: RetrievalDataset, judged: set[str]) -> dict[str, list[str]]:
    if not dataset.queries_split:
        return {"test": list(dataset.queries)}
    files = {_file_name(split): list(query_ids) for split, query_ids in dataset.queries_split.items()}
    divided = {query_id for query_ids in files.values() for query_id in query_ids}
    undivided = judged - divided
    rest = [query_id for query_id in dataset.queries if query_id in undivided]
    return files | ({UNSPLIT: rest} if rest else {})


def _file_name(split: str) -> str:
    if not split or Path(split).name != split or split.startswith("."):
        raise DataError(f"the split {split!r} can't be the name of a file", where="queries_split")
    return _FILE_NAMES.get(split, split)


def _refuse_tabs(dataset: RetrievalDataset, judged: set[str]) -> None:
    for query_id in judged:
        for text_id in (query_id, *dataset.grades(query_id)):
            if not text_id or any(character in text_id for character in "\t\r\n"):
                raise DataError(f"the id {text_id!r} can't stand in a TSV", remedy="write another layout, or rename it")


def _write_qrels(dataset: RetrievalDataset, path: Path, query_ids: list[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        for query_id in query_ids:
            for document_id, grade in dataset.grades(query_id).items():
                number = int(grade) if grade == int(grade) else grade
                file.write(f"{query_id}\t{document_id}\t{number}\n")


def _losses(dataset: RetrievalDataset, judged: set[str]) -> list[str]:
    unjudged = sum(query_id not in judged for ids in dataset.queries_split.values() for query_id in ids)
    answers = sum(answer is not None for answer in dataset.reference_answers.values())
    negatives = sum(map(len, dataset.negative_docs.values()))
    counts = [
        (unjudged, "queries' splits: only a judgement puts a query into a split"),
        (negatives, "negatives: a grade of 0 would say that somebody judged them"),
        (answers, "reference answers"),
    ]
    losses = [f"{count} {what}" for count, what in counts if count]
    if not dataset.queries_split:
        losses.append("that there are no splits: all judgements are in qrels/test.tsv")
    return losses + [f"the extra field {name!r}" for name in dataset.extra]
