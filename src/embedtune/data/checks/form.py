"""Faults of form: what can't be read as a dataset."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from embedtune.data.checks.finding import Finding, finding
from embedtune.data.faults import Fault

__all__ = ["findings_from_faults"]

_MESSAGES = {
    "missing-field": ("field is missing or empty", "fields are missing or empty"),
    "wrong-type": ("entry has the wrong type", "entries have the wrong type"),
    "repeated-id": (
        "id stands twice in one object; the last entry counts",
        "ids stand twice in one object; the last entry counts",
    ),
    "empty-queries": ("query has no text", "queries have no text"),
    "empty-documents": ("document has no text", "documents have no text"),
    "unknown-documents": (
        "entry names a document that isn't in the corpus",
        "entries name a document that isn't in the corpus",
    ),
    "unknown-queries": ("entry names a query that isn't there", "entries name a query that isn't there"),
}  # fmt: skip
_TO_DO = "mend the file, or let --fix write a copy without these entries"


def findings_from_faults(faults: Iterable[Fault]) -> Iterator[Finding]:
    """Yields one error for each kind of fault, with the place of the first ones."""
    by_code: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        by_code[fault.code].append(fault)
    for code, same in by_code.items():
        one, many = _MESSAGES[code]
        message = f"1 {one}" if len(same) == 1 else f"{len(same):,} {many}"
        yield finding("error", code, message, (f.id for f in same), (f.message for f in same), _TO_DO)
