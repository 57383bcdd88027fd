"""What a retrieval dataset is: queries, a corpus, and which documents answer which query."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedtune.data.json_writer import json_pieces
from embedtune.data.places import place_of
from embedtune.errors import DataError, OptionsError, describe_unknown

__all__ = ["ALL_QUERIES", "Qrels", "RetrievalDataset"]

ALL_QUERIES = "all"

Qrels = Mapping[str, Mapping[str, float]]
"""Query id → document id → grade; a grade above 0 is relevant."""


@dataclass(frozen=True)
class RetrievalDataset:
    """A corpus with queries and judgements, field for field the dataset format of the docs.

    `relevant_docs` holds a list of document ids (each of grade 1) or document id → grade.
    `extra` keeps fields that this version doesn't know, so that nothing is lost on writing.
    """

    queries: Mapping[str, str]
    corpus: Mapping[str, str]
    relevant_docs: Mapping[str, list[str] | dict[str, float]]
    negative_docs: Mapping[str, list[str]] = field(default_factory=dict)
    reference_answers: Mapping[str, str | None] = field(default_factory=dict)
    queries_split: Mapping[str, list[str]] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | Path) -> RetrievalDataset:
        """Returns the dataset in a JSON file or a folder of tables; raises DataError with all of its faults.

        The texts of a folder stay on disk until they are asked for. Both may lie at a URL that fsspec reads.
        """
        place = place_of(path)
        if place.is_dir():
            from embedtune.data.table_folder import read_folder

            return read_folder(place)
        from embedtune.data.json_format import read_json

        return read_json(place)

    def write(self, path: str | Path) -> None:
        """Writes a JSON file where `path` ends in .json, an Arrow folder at .arrow, else a Parquet folder.

        It is written whole, or not at all.
        """
        if Path(path).suffix.lower() != ".json":
            from embedtune.data.table_folder import kind_for, write_folder

            write_folder(self, Path(path), kind_for(Path(path)))
            return
        from embedtune.data.json_format import write_json

        write_json(self, Path(path))

    def split_query_ids(self, split: str) -> list[str]:
        """Returns the query ids of a split in the file's order; "all" is every query.

        Raises OptionsError for an unknown split, DataError for an empty one.
        """
        if split == ALL_QUERIES and ALL_QUERIES not in self.queries_split:
            query_ids = list(self.queries)
        elif split in self.queries_split:
            query_ids = list(self.queries_split[split])
        else:
            raise OptionsError(
                describe_unknown("split", split, [*self.queries_split, ALL_QUERIES]),
                where="queries_split",
                remedy="name one of the known splits with --split",
            )
        if not query_ids:
            raise DataError(
                f"the split {split!r} has no queries",
                where=f"queries_split[{split!r}]",
                remedy="put queries into it or name another split with --split",
            )
        return query_ids

    def qrels(self, query_ids: list[str]) -> dict[str, dict[str, float]]:
        """Returns the judgements of these queries as query id → document id → grade."""
        return {query_id: dict(self.grades(query_id)) for query_id in query_ids}

    def grades(self, query_id: str) -> Mapping[str, float]:
        """Returns document id → grade for one query; empty where nothing was judged."""
        judged = self.relevant_docs.get(query_id, [])
        return judged if isinstance(judged, Mapping) else dict.fromkeys(judged, 1.0)

    def positives(self, query_id: str) -> list[str]:
        """Returns the ids of the documents relevant to a query (grade above 0)."""
        return [document_id for document_id, grade in self.grades(query_id).items() if grade > 0]

    def known_positive_pairs(self) -> Iterator[tuple[str, str]]:
        """Yields each (query id, relevant document id) of every split."""
        for query_id in self.relevant_docs:
            for document_id in self.positives(query_id):
                yield query_id, document_id

    def to_fields(self) -> dict[str, Any]:
        """Returns the dataset as the JSON file's object, optional fields only where present."""
        fields: dict[str, Any] = {
            "queries": self.queries,
            "corpus": self.corpus,
            "relevant_docs": self.relevant_docs,
            "negative_docs": self.negative_docs,
            "reference_answers": self.reference_answers,
            "queries_split": self.queries_split,
        }
        return fields | dict(self.extra)

    def content_hash(self) -> str:
        """Returns a SHA-256 (hexadecimal) of everything in the dataset, order included."""
        digest = hashlib.sha256()
        for piece in json_pieces(self.to_fields()):
            digest.update(piece.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()
