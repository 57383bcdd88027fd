"""SQuAD-style JSON, as in SQuAD, CMRC 2018, DRCD and XQuAD: paragraphs with questions and answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from embedtune.data.building import ConverterOptions, DatasetBuilder
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.records import missing_column, parse_json, split_in_name
from embedtune.data.text_files import existing_path, plain_suffix, read_text
from embedtune.errors import DataError

__all__ = ["OPTIONS", "SquadOptions", "convert"]

_LAYOUT = 'a SQuAD-style JSON file, {"data": [{"title", "paragraphs": [{"context", "qas"}]}]}, or a folder of them'


class SquadOptions(ConverterOptions):
    """How SQuAD-style files are read."""

    split: str | None = Field(
        default=None, description="Split of all queries; default: train, val or test as the file's name says."
    )


OPTIONS = SquadOptions


def convert(source: str | Path | None, options: SquadOptions) -> RetrievalDataset:
    """Returns the dataset: a document a paragraph, a query a question, its first answer as reference.

    The same paragraph twice is one document. A question without an answer in its paragraph
    (SQuAD 2.0's is_impossible) has no relevant document and is left out, which is said.
    """
    root = existing_path(source, _LAYOUT)
    files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if plain_suffix(path) == ".json")
    if not files:
        raise DataError(f"no .json file is in {root}", remedy=f"give {_LAYOUT}")
    builder = DatasetBuilder(str(source), options)
    for path in files:
        split = options.split or split_in_name(path)
        for place, paragraph in _paragraphs(path):
            _add_paragraph(builder, paragraph, place, split)
    return builder.build()


def _paragraphs(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    content = parse_json(read_text(path), str(path))
    for i, article in enumerate(_items(content, "data", str(path))):
        for j, paragraph in enumerate(_items(article, "paragraphs", f"{path}: data[{i}]")):
            yield f"{path}: data[{i}].paragraphs[{j}]", _object(paragraph, f"{path}: data[{i}].paragraphs[{j}]")


def _add_paragraph(builder: DatasetBuilder, paragraph: Mapping[str, Any], place: str, split: str | None) -> None:
    document_id = builder.document_with_text(_text(paragraph, "context", place), place)
    for k, question in enumerate(_items(paragraph, "qas", place)):
        where = f"{place}.qas[{k}]"
        text, query_id = _text(question, "question", where), str(_value(question, "id", where))
        answers = _answers(question, where)
        if not answers:
            builder.skipped["questions that their paragraph doesn't answer"] += 1
            continue
        builder.add_query(query_id, text, where, split)
        builder.judge(query_id, document_id)
        builder.answers[query_id] = answers[0]


def _answers(question: Mapping[str, Any], place: str) -> list[str]:
    """Returns the answers' texts, from a list of {"text"} or from one of them alone."""
    if question.get("is_impossible"):
        return []
    answers = _value(question, "answers", place)
    return [
        _text(answer, "text", f"{place}.answers") for answer in ([answers] if isinstance(answers, dict) else answers)
    ]


def _items(value: Any, name: str, place: str) -> list[Any]:
    items = _value(_object(value, place), name, place)
    if not isinstance(items, list):
        raise DataError(f"{name}: expected a list, found {type(items).__name__}", where=place, remedy=f"give {_LAYOUT}")
    return items


def _object(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"expected an object, found {type(value).__name__}", where=place, remedy=f"give {_LAYOUT}")
    return value


def _value(item: Mapping[str, Any], name: str, place: str) -> Any:
    if name not in _object(item, place):
        raise missing_column(name, item, place)
    return item[name]


def _text(item: Mapping[str, Any], name: str, place: str) -> str:
    text = _value(item, name, place)
    if not isinstance(text, str):
        raise DataError(f"{name}: expected a text, found {text!r:.80}", where=place)
    return text
