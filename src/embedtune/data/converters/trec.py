"""TREC collections: topics, a TSV of documents and qrels, as in MS MARCO and the TREC tracks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from embedtune.data.archives import unpacked
from embedtune.data.building import ConverterOptions, DatasetBuilder
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.records import number_of, split_in_name
from embedtune.data.text_files import existing_path, open_text, read_text
from embedtune.errors import DataError

__all__ = ["OPTIONS", "TrecOptions", "convert"]

_LAYOUT = "a folder with documents (docs.tsv), topics (topics.tsv or .txt) and judgements (qrels.txt)"
_USUAL_NAMES = {
    "documents": ("docs", "documents", "collection", "corpus"),
    "topics": ("topics", "queries"),
    "qrels": ("qrels",),
}
_TOPIC = re.compile(r"<(top|topic)\b([^>]*)>(.*?)</\1>", re.DOTALL | re.IGNORECASE)
_NUMBER = re.compile(r"<num>\s*(?:Number:)?\s*(\S+?)\s*(?:<|$)", re.MULTILINE | re.IGNORECASE)
_NUMBER_ATTRIBUTE = re.compile(r"number\s*=\s*[\"']([^\"']+)[\"']", re.IGNORECASE)
_FIELD = r"<{name}>\s*(?:{label}:)?\s*(.*?)\s*(?=<|\Z)"
_FIELD_NAMES = {
    "title": (("title", "Topic"), ("query", "Query")),
    "description": (("desc", "Description"), ("question", "Question"), ("description", "Description")),
    "narrative": (("narr", "Narrative"), ("narrative", "Narrative")),
}


class TrecOptions(ConverterOptions):
    """Which files and which part of a topic are read."""

    documents: str | None = Field(
        default=None, description="Documents, a file in the folder; default: docs*, collection*."
    )
    topics: str | None = Field(default=None, description="Topics, a file in the folder; default: topics*, queries*.")
    qrels: str | None = Field(default=None, description="Judgements, a file in the folder; default: qrels*.")
    topic_part: Literal["title", "description", "narrative"] = Field(
        default="title", description="Part of a tagged topic that is the query."
    )


OPTIONS = TrecOptions


def convert(source: str | Path | None, options: TrecOptions) -> RetrievalDataset:
    """Returns the dataset of a folder or zip; a query is in the split that its qrels file names.

    A document's line is id, text or id, title, text; of more columns the last two count. Topics
    are lines of id and text, or tagged with <top> or <topic>. Grades, 0 too, are kept.
    """
    builder = DatasetBuilder(str(source), options)
    with unpacked(existing_path(source, _LAYOUT)) as folder:
        for path in _files(folder, "documents", options.documents):
            for place, columns in _tabbed(path, 2):
                builder.add_document(
                    columns[0], " ".join(filter(None, columns[-2:] if columns[2:] else columns[1:])), place
                )
        for path in _files(folder, "topics", options.topics):
            for place, query_id, text in _topics(path, options.topic_part):
                builder.add_query(query_id, text, place)
        for path in _files(folder, "qrels", options.qrels):
            _judge(builder, path)
        return builder.build()


def _files(folder: Path, kind: str, named: str | None) -> list[Path]:
    if named is not None:
        path = folder / named
        if not path.is_file():
            raise DataError(f"there is no file {named} in {folder}", remedy=f"give {_LAYOUT}")
        return [path]
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    found = [path for path in files if path.name.lower().startswith(_USUAL_NAMES[kind])]
    if not found:
        there = ", ".join(path.name for path in files) or "nothing"
        raise DataError(
            f"no file of {kind} is in the folder: found {there}, expected a name that begins with "
            f"{' or '.join(_USUAL_NAMES[kind])}",
            where=str(folder),
            remedy=f"name it with --{kind}, or give {_LAYOUT}",
        )
    return found


def _tabbed(path: Path, least: int) -> Iterator[tuple[str, list[str]]]:
    """Yields the place and the columns of each line that has text."""
    with open_text(path, newline="\n") as file:
        for number, line in enumerate(file, start=1):
            columns = line.rstrip("\r\n").split("\t")
            if not line.strip():
                continue
            if len(columns) < least:
                raise DataError(
                    f"a line of {len(columns)} column, expected at least {least} with tabs between",
                    where=f"{path}:{number}",
                    remedy="a file cut off while it was copied ends like this too",
                )
            yield f"{path}:{number}", columns


def _topics(path: Path, part: str) -> Iterator[tuple[str, str, str]]:
    with open_text(path) as file:
        tagged = "<top" in file.read(4096).lower()
    if not tagged:
        for place, columns in _tabbed(path, 2):
            yield place, columns[0], columns[1]
        return
    text = read_text(path)
    for topic in _TOPIC.finditer(text):
        place = f"{path}:{text.count(chr(10), 0, topic.start()) + 1}"
        number = _NUMBER_ATTRIBUTE.search(topic[2]) or _NUMBER.search(topic[3])
        if number is None:
            raise DataError("a topic without a number", where=place, remedy="expected <num> or number=")
        yield place, number[1], _topic_part(topic[3], part)


def _topic_part(topic: str, part: str) -> str:
    """Returns one part of a topic as one line, "" where it is missing."""
    for name, label in _FIELD_NAMES[part]:
        found = re.search(_FIELD.format(name=name, label=label), topic, re.DOTALL | re.IGNORECASE)
        if found:
            return " ".join(found[1].split())
    return ""


def _judge(builder: DatasetBuilder, path: Path) -> None:
    split = split_in_name(path)
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            columns = line.split()
            if not columns:
                continue
            try:
                query_id, _, document_id, grade = columns
                builder.judge(query_id, document_id, number_of(grade))
            except ValueError:
                raise DataError(
                    f"expected query id, 0, document id and grade, found {line.strip()!r:.80}",
                    where=f"{path}:{number}",
                ) from None
            if split is not None:
                builder.add_to_split(split, query_id)
