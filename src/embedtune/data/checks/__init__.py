"""Looks for what would spoil a result, before anything is spent on it; one file a family of checks."""

from __future__ import annotations

from collections.abc import Sequence

from embedtune.data.checks.duplicates import check_duplicates
from embedtune.data.checks.encoder import EncoderFacts, check_encoder
from embedtune.data.checks.finding import Finding, Level
from embedtune.data.checks.form import findings_from_faults
from embedtune.data.checks.judgements import check_judgements
from embedtune.data.checks.leakage import check_leakage
from embedtune.data.checks.sizes import check_sizes
from embedtune.data.checks.texts import check_texts
from embedtune.data.checks.view import DatasetView
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.faults import Fault, find_faults
from embedtune.data.usable import without_faults

__all__ = ["EncoderFacts", "Finding", "Level", "check_dataset"]

_FAMILIES = (check_texts, check_duplicates, check_judgements, check_leakage, check_sizes)


def check_dataset(
    dataset: RetrievalDataset, encoder: EncoderFacts | None = None, reading_faults: Sequence[Fault] = ()
) -> list[Finding]:
    """Returns what was found, errors first, then warnings, then notes.

    Faults of form are reported too, `reading_faults` being those that a RetrievalDataset can't
    hold; the other checks look at what is left without them.
    """
    faults = [*reading_faults, *find_faults(dataset.to_fields())]
    view = DatasetView(without_faults(dataset.to_fields()) if faults else dataset)
    findings = list(findings_from_faults(faults))
    if view.dataset.corpus and view.dataset.queries:
        for family in _FAMILIES:
            findings += family(view)
        if encoder is not None:
            findings += check_encoder(view, encoder)
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(findings, key=lambda finding: order[finding.level])
