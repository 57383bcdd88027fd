"""The systems of a bake-off, from the cheapest remedy to the dearest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["BASE", "SYSTEMS", "TRAINED", "System"]


class System(NamedTuple):
    """A way of retrieving and what it asks for.

    `method` trains it; None where nothing is trained by itself. One that `replaces_model` has other
    weights: all documents of every index must be encoded again, and whoever uses the model gets it.
    The others are bound to the index that they are made for; other indexes keep the base.
    """

    name: str
    method: str | None = None
    replaces_model: bool = False


BASE = "base"

SYSTEMS: Mapping[str, System] = {
    system.name: system
    for system in (
        System(BASE),
        System("bm25"),
        System("hybrid"),
        System("adapter", "adapter"),
        System("nudge", "nudge"),
        System("rerank"),
        System("merged", None, replaces_model=True),
        System("lora", "lora", replaces_model=True),
        System("full", "full", replaces_model=True),
    )
}
"""In the order of what they cost to run and to keep, the base first."""

TRAINED = ("adapter", "nudge", "lora", "full")
"""In the order in which they are trained; the mixture comes after them."""
