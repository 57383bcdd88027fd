"""Reads and writes the dataset's JSON file; reports every fault in it at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from embedtune.artifact import write_bytes_whole
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.faults import OPTIONAL_FIELDS, REQUIRED_FIELDS, Fault, find_faults, judgement_faults, raise_if_any
from embedtune.data.json_parser import parse_file
from embedtune.data.json_writer import json_pieces

__all__ = ["dataset_from_fields", "read_fields", "read_json", "read_qrels", "write_json"]

_PIECES_AT_ONCE = 1024


def read_json(path: Path) -> RetrievalDataset:
    """Returns the dataset in `path`; raises DataError with the place of each fault."""
    fields, faults = read_fields(path)
    raise_if_any(faults, str(path))
    return dataset_from_fields(fields, where=str(path))


def read_fields(path: Path) -> tuple[dict[str, Any], list[Fault]]:
    """Returns the file's object as it is, and the ids that are in it twice, of which the last is kept."""
    fields, repeated = parse_file(path)
    return fields, [Fault("repeated-id", f"the key {key!r} appears twice in one object", key) for key in repeated]


def read_qrels(path: Path) -> dict[str, dict[str, float]]:
    """Returns graded judgements from a JSON file: query id → document id → grade."""
    qrels, repeated = read_fields(path)
    raise_if_any([*repeated, *judgement_faults("qrels", qrels, None, None)], str(path))
    return {query_id: dict(grades) for query_id, grades in qrels.items()}


def write_json(dataset: RetrievalDataset, path: Path) -> None:
    """Writes the dataset as UTF-8 JSON, whole or not at all, an entry at a time."""
    write_bytes_whole(path, _encoded(json_pieces(dataset.to_fields(), indented=True)))


def dataset_from_fields(fields: Mapping[str, Any], where: str) -> RetrievalDataset:
    """Returns the dataset of a parsed JSON object; raises DataError with all faults."""
    raise_if_any(list(find_faults(fields)), where)
    known = {name: fields[name] or {} for name in (*REQUIRED_FIELDS, *OPTIONAL_FIELDS) if name in fields}
    extra = {name: value for name, value in fields.items() if name not in known}
    return RetrievalDataset(**known, extra=extra)


def _encoded(pieces: Iterable[str]) -> Iterator[bytes]:
    """Joins pieces before they are written; half of a surrogate pair is written as JSON's escape."""
    waiting: list[str] = []
    for piece in pieces:
        waiting.append(piece)
        if len(waiting) == _PIECES_AT_ONCE:
            yield "".join(waiting).encode("utf-8", "backslashreplace")
            waiting.clear()
    yield ("".join(waiting) + "\n").encode("utf-8", "backslashreplace")
