"""Collects queries, documents and judgements from other layouts, and every fault in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from embedtune import progress
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.faults import list_faults
from embedtune.data.json_format import dataset_from_fields
from embedtune.errors import DataError
from embedtune.options import Options

__all__ = ["ConverterOptions", "DatasetBuilder"]


class ConverterOptions(Options):
    """What every converter of labelled data can be told."""

    skip_faulty: bool = Field(
        default=False,
        description="Leave out empty texts and judgements of unknown ids, and say how many, instead of refusing them.",
    )


class DatasetBuilder:
    """A dataset that grows row by row.

    An id that comes again with the same text is one entry; with another text it is a fault. A
    document that is relevant to a query is never its negative, whichever row came first.
    """

    def __init__(self, source: str, options: ConverterOptions) -> None:
        self.source = source
        self.skip_faulty = options.skip_faulty
        self.queries: dict[str, str] = {}
        self.corpus: dict[str, str] = {}
        self.grades: dict[str, dict[str, float]] = {}
        self.negatives: dict[str, dict[str, None]] = {}
        self.answers: dict[str, str] = {}
        self.splits: dict[str, dict[str, None]] = {}
        self.skipped: Counter[str] = Counter()
        self._faults: list[str] = []
        self._document_ids: dict[str, str] = {}
        self._query_ids: dict[tuple[str | None, str], str] = {}
        self._left_out: set[tuple[str, str]] = set()

    def add_document(self, document_id: str, text: str, place: str) -> None:
        """Adds a document under the layout's own id."""
        self._add(self.corpus, "document", document_id, text, place)

    def add_query(self, query_id: str, text: str, place: str, split: str | None = None) -> None:
        """Adds a query under the layout's own id, to a split where one is named."""
        self._add(self.queries, "query", query_id, text, place)
        if split is not None:
            self.add_to_split(split, query_id)

    def document_with_text(self, text: str, place: str) -> str:
        """Returns the id of the document with this text, a new one where it is the first."""
        document_id = self._document_ids.setdefault(text, f"d{len(self._document_ids) + 1}")
        self.add_document(document_id, text, place)
        return document_id

    def query_with_text(self, text: str, place: str, split: str | None = None) -> str:
        """Returns the id of the query with this text; the same text in two splits is two queries."""
        query_id = self._query_ids.setdefault((split, text), f"q{len(self._query_ids) + 1}")
        self.add_query(query_id, text, place, split)
        return query_id

    def judge(self, query_id: str, document_id: str, grade: float = 1) -> None:
        """Notes a grade, 0 for judged not relevant; of two grades the higher stays."""
        judged = self.grades.setdefault(query_id, {})
        if judged.get(document_id, grade) != grade:
            self.skipped["judgements that give the same document another grade (the highest is kept)"] += 1
        judged[document_id] = max(grade, judged.get(document_id, grade))

    def add_negative(self, query_id: str, document_id: str) -> None:
        """Notes that a document doesn't answer a query."""
        self.negatives.setdefault(query_id, {})[document_id] = None

    def add_to_split(self, split: str, query_id: str) -> None:
        """Puts a query into a split."""
        self.splits.setdefault(split, {})[query_id] = None

    def add_fault(self, fault: str, place: str) -> None:
        """Notes a fault; `build` raises them all at once."""
        self._faults.append(f"{place}: {fault}")

    def build(self, extra: Mapping[str, Any] | None = None) -> RetrievalDataset:
        """Returns the dataset; raises DataError with all faults, by file and line or by id."""
        self._raise_faults()
        if self.skip_faulty:
            self._drop_dangling()
        negatives = {query_id: self._without_relevant(query_id, ids) for query_id, ids in self.negatives.items()}
        fields = {
            "queries": self.queries,
            "corpus": self.corpus,
            "relevant_docs": {query_id: _plain_if_possible(judged) for query_id, judged in self.grades.items()},
            "negative_docs": {query_id: ids for query_id, ids in negatives.items() if ids},
            "reference_answers": self.answers,
            "queries_split": {split: list(ids) for split, ids in self.splits.items()},
        }
        for what, count in self.skipped.items():
            progress.say(f"left out: {count} {what}")
        try:
            return dataset_from_fields(fields | dict(extra or {}), where=self.source)
        except DataError as error:
            remedy = "mend the source, or pass --skip-faulty to leave these entries out"
            raise DataError(error.found, where=error.where, remedy=remedy) from None

    def _add(self, texts: dict[str, str], kind: str, text_id: str, text: str, place: str) -> None:
        if not text or text.isspace():
            if self.skip_faulty:
                self._left_out.add((kind, text_id))
                self.skipped[f"{kind} entries without text"] += 1
            else:
                self.add_fault(f"the {kind} {text_id!r} has no text", place)
        elif texts.setdefault(text_id, text) != text:
            self.add_fault(f"the {kind} id {text_id!r} comes again with a different text", place)

    def _raise_faults(self) -> None:
        if not self._faults:
            return
        remedy = "mend these entries; --skip-faulty leaves out those without text"
        raise DataError(list_faults("source", self._faults), where=self.source, remedy=remedy)

    def _drop_dangling(self) -> None:
        for name in ("grades", "negatives"):
            judged: dict[str, dict[str, Any]] = getattr(self, name)
            for query_id in list(judged):
                kept = {d: value for d, value in judged[query_id].items() if d in self.corpus}
                known = query_id in self.queries
                dropped = len(judged[query_id]) - (len(kept) if known else 0)
                if dropped:
                    self.skipped["judgements of unknown ids"] += dropped
                if known and kept:
                    judged[query_id] = kept
                else:
                    del judged[query_id]
        self.answers = {query_id: text for query_id, text in self.answers.items() if query_id in self.queries}
        for split, ids in self.splits.items():
            self.splits[split] = {query_id: None for query_id in ids if query_id in self.queries}

    def _without_relevant(self, query_id: str, document_ids: Mapping[str, None]) -> list[str]:
        judged = self.grades.get(query_id, {})
        kept = [document_id for document_id in document_ids if judged.get(document_id, 0) <= 0]
        if len(kept) < len(document_ids):
            self.skipped["negatives that another row calls relevant"] += len(document_ids) - len(kept)
        return kept


def _plain_if_possible(judged: dict[str, float]) -> list[str] | dict[str, float]:
    return list(judged) if all(grade == 1 for grade in judged.values()) else judged
