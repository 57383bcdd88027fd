"""Guards: datasets on which a tuned model must not get worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from embedtune import progress
from embedtune.data.dataset import ALL_QUERIES, RetrievalDataset
from embedtune.errors import DataError, EmbedtuneError, OptionsError

__all__ = ["Guards", "guard_split", "guards_or_general", "read_guards"]

_REMEDY = "write --guard NAME=DATASET, for example --guard manuals=manuals.json"

Guards = Mapping[str, RetrievalDataset]
"""A guard's name → its dataset."""


def read_guards(words: Sequence[str]) -> dict[str, RetrievalDataset]:
    """Returns the guards of `--guard NAME=DATASET` flags, in their order.

    Raises OptionsError for what isn't NAME=DATASET and for a name that stands twice, DataError
    for a dataset that can't be asked anything.
    """
    places: dict[str, str] = {}
    for word in words:
        name, equals, place = word.partition("=")
        if not (name.strip() and equals and place):
            raise OptionsError(f"found the guard {word!r}, expected NAME=DATASET", where="--guard", remedy=_REMEDY)
        if name in places:
            raise OptionsError(
                f"two guards are named {name!r}: {places[name]} and {place}",
                where="--guard",
                remedy="give each guard a name of its own",
            )
        places[name] = place
    return {name: _read(name, Path(place)) for name, place in places.items()}


def guards_or_general(guards: Guards | None, dataset: RetrievalDataset) -> Guards:
    """Returns the guards; without any the general set in the dataset's languages, and a warning."""
    if guards:
        for name, guard in guards.items():
            _refuse_unaskable(name, guard)
        return guards
    from embedtune.data.general import general_guards

    general = general_guards(dataset)
    progress.say(
        f"warning: no guard was given, so only embedtune's small general set is watched ({', '.join(general)}); bring "
        "what your users also search, with --guard NAME=DATASET"
    )
    return general


def guard_split(dataset: RetrievalDataset, split: str) -> str:
    """Returns the split of a guard that is asked: the same where it has judged queries in it, else test, else all."""
    for name in (split, "test"):
        if any(dataset.positives(query_id) for query_id in dataset.queries_split.get(name, ())):
            return name
    return ALL_QUERIES


def _read(name: str, place: Path) -> RetrievalDataset:
    try:
        dataset = RetrievalDataset.read(place)
    except EmbedtuneError as error:
        raise DataError(
            f"the guard {name!r} can't be read: {error.found}", where=error.where, remedy=error.remedy
        ) from error
    _refuse_unaskable(name, dataset)
    return dataset


def _refuse_unaskable(name: str, dataset: RetrievalDataset) -> None:
    if not any(dataset.positives(query_id) for query_id in dataset.queries):
        raise DataError(
            f"the guard {name!r} has {len(dataset.queries)} queries and none with a relevant document, so nothing can "
            "be measured on it",
            where=f"--guard {name}",
            remedy="give a dataset with queries and relevant_docs; embedtune synth makes queries, and documents alone "
            "can be used by embedtune train --replay",
        )
