"""The mix of query kinds: written on the command line, dealt out to a document."""

from __future__ import annotations

import random
from collections.abc import Mapping

from embedtune.errors import OptionsError, describe_unknown

__all__ = ["deal_kinds", "parse_kinds"]


def parse_kinds(text: str | None, known: Mapping[str, float]) -> dict[str, float]:
    """Returns kind → weight from `question=3,keyword=2,title`; a kind without a number weighs 1.

    None gives the default mix. Raises OptionsError for unknown kinds and weights that aren't.
    """
    if text is None:
        return {kind: weight for kind, weight in known.items() if weight > 0}
    kinds: dict[str, float] = {}
    for part in text.replace("，", ",").split(","):
        kind, _, weight = part.partition("=")
        kind = kind.strip()
        if kind not in known:
            raise OptionsError(describe_unknown("query kind", kind, known), where="--kinds")
        try:
            kinds[kind] = float(weight) if weight.strip() else 1.0
        except ValueError:
            raise OptionsError(f"the weight of {kind!r} is {weight!r}, expected a number", where="--kinds") from None
    if any(not 0 <= weight < float("inf") for weight in kinds.values()) or not any(kinds.values()):
        raise OptionsError(f"the weights {text!r} must be 0 or more, and one above 0", where="--kinds")
    return kinds


def deal_kinds(kinds: Mapping[str, float], count: int, chance: random.Random) -> dict[str, int]:
    """Returns how many queries of each kind a document gets: different kinds first, drawn by weight.

    Over many documents the kinds come out in proportion to their weights as far as a document's
    queries may differ.
    """
    dealt: dict[str, int] = {}
    names = [kind for kind, weight in kinds.items() if weight > 0]
    left = list(names)
    for _ in range(count):
        left = left or list(names)
        (kind,) = chance.choices(left, weights=[kinds[name] for name in left])
        left.remove(kind)
        dealt[kind] = dealt.get(kind, 0) + 1
    return {kind: dealt[kind] for kind in names if kind in dealt}
