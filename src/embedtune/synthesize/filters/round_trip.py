"""Keeps a query if its document is found with it: by the encoder, by BM25, or by one or both of them.

Round-trip consistency as in Promptagator (https://arxiv.org/abs/2209.11755, section 3.2), which keeps a query
if its document is the first; there the retriever is trained on the unfiltered queries, here it is the base
encoder, BM25 or both.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from embedtune.options import Options
from embedtune.search.run import Run
from embedtune.synthesize.material import Drop, Judgement, Material

__all__ = ["OPTIONS", "RoundTripOptions", "judge", "needs"]

_SYSTEMS = {"bm25": ("bm25",), "dense": ("dense",), "either": ("dense", "bm25"), "both": ("dense", "bm25")}


class RoundTripOptions(Options):
    """Who has to find a query's document, and how high."""

    found_by: Literal["bm25", "dense", "either", "both"] = Field(
        default="bm25",
        description="Who has to find the document: bm25, the encoder (dense), either of them, or both.",
    )
    round_trip_top_k: int = Field(
        default=1, ge=1, description="Among how many documents a query's own has to be found."
    )


OPTIONS = RoundTripOptions


def needs(options: RoundTripOptions) -> tuple[str, ...]:
    """Returns ("encoder",) where the encoder searches."""
    return ("encoder",) if "dense" in _SYSTEMS[options.found_by] else ()


def judge(material: Material, options: RoundTripOptions) -> Judgement:
    """Drops each query of whose documents none is found among the first; of several one is enough."""
    systems = _SYSTEMS[options.found_by]
    runs = {name: material.retriever(name).retrieve(material.queries, options.round_trip_top_k) for name in systems}
    enough = all if options.found_by == "both" else any
    dropped = {}
    for query_id in material.queries:
        wanted = set(material.positives(query_id))
        found = {name: not wanted.isdisjoint(run.document_ids(query_id)) for name, run in runs.items()}
        if not enough(found.values()):
            missed = [name for name, there in found.items() if not there]
            dropped[query_id] = Drop("not-found", _reason(query_id, missed, runs, options.round_trip_top_k))
    return Judgement(dropped)


def _reason(query_id: str, missed: list[str], runs: dict[str, Run], top_k: int) -> str:
    first = ", ".join(f"{name} found {(runs[name].document_ids(query_id) or ['nothing'])[0]!r}" for name in missed)
    place = "first" if top_k == 1 else f"among the first {top_k}"
    return f"its document isn't {place}: {first}"
