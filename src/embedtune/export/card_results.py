"""What a card says a model retrieves: pairs of evaluations, the gate's verdict, and what nobody measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedtune.artifact import Artifact
from embedtune.errors import OptionsError, StorageError
from embedtune.evaluate.comparison import Difference, compare
from embedtune.evaluate.evaluation import EVALUATION, read_evaluation
from embedtune.export.card_options import CardOptions
from embedtune.export.card_words import CardWords

__all__ = ["MEASURE", "CardResult", "card_results", "result_lines"]

MEASURE = "ndcg_at_10"
_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class CardResult:
    """One pair of evaluations: the base's and the model's."""

    guard: bool
    dataset: str
    split: str
    queries: int
    difference: Difference


def card_results(options: CardOptions) -> list[CardResult]:
    """Returns the comparisons of all pairs, guards last; raises where two can't be compared."""
    domain = [_compared(pair, guard=False) for pair in options.results]
    return domain + [_compared(pair, guard=True) for pair in options.guards]


def _compared(pair: str, *, guard: bool) -> CardResult:
    folders = pair.split(",")
    if len(folders) != 2:
        raise OptionsError(f"{pair!r} isn't a pair", remedy="give two folders of embedtune eval: BASE,TUNED")
    base, tuned = (Path(folder.strip()) for folder in folders)
    found = compare(read_evaluation(base), read_evaluation(tuned))
    made_from = Artifact.open(tuned, EVALUATION).manifest["made_from"]
    return CardResult(guard, _dataset_name(made_from["dataset"]), str(made_from["split"]), found.queries, found.main)


def _dataset_name(path: str) -> str:
    """Returns a dataset's name; one called dataset.json is known by its folder."""
    place = Path(path)
    return place.parent.name if place.stem == "dataset" and place.parent.name else place.stem


def result_lines(
    results: Sequence[CardResult], record: Mapping[str, Any], words: CardWords, verdict: Path | None
) -> Iterator[str]:
    """Yields the paragraphs about retrieval."""
    yield f"## {words.results}"
    why = record.get("made_from", {}).get("why", ())
    if why:
        yield "\n".join([words.when_made, "", *(f"- {line}" for line in why)])
    judged = [] if verdict is None else _verdict_lines(verdict, words)
    if judged:
        yield "\n".join([words.verdict, "", *(f"- {line}" for line in judged)])
    if results:
        head = [f"{MEASURE}:", "", words.result_head, "|---|---|---|---|---|---|---|---|"]
        yield "\n".join([*head, *(_line(result, words) for result in results)])
    elif not judged:
        yield words.unmeasured
    if not any(result.guard for result in results) and len(judged) < 2 and not any("guard" in line for line in why):
        yield words.no_guard


def _line(result: CardResult, words: CardWords) -> str:
    one = result.difference
    low, high = one.interval
    verdict = words.unclear if one.p >= _SIGNIFICANT else words.better if one.mean > 0 else words.worse
    kind = words.guard if result.guard else words.domain
    return (
        f"| {kind} | {result.dataset}, {result.split} | {result.queries} | {one.mean_a:.4f} | {one.mean_b:.4f} | "
        f"{one.mean:+.4f} ({verdict}) | {low:+.4f} … {high:+.4f} | {one.p:.4f} |"
    )


def _verdict_lines(path: Path, words: CardWords) -> list[str]:
    """Returns the gain and each guard of what `embedtune gate --json` printed."""
    try:
        verdict = json.loads(path.read_text(encoding="utf-8"))
        gain, measure = verdict["gain"], verdict["measure"]
        low, high = gain["interval"]
        lines = [
            f"{words.domain}, {verdict['split']}: {measure} {gain['base']:.4f} → {gain['tuned']:.4f}, "
            f"{gain['mean']:+.4f} ({low:+.4f} … {high:+.4f})"
        ]
        for guard in verdict["guards"]:
            least, most = (-bound for bound in reversed(guard["bounds"]))
            lines.append(
                f"{words.guard} {guard['name']}: {measure} {guard['base']:.4f} → {guard['tuned']:.4f}, "
                f"{-guard['loss']:+.4f} ({least:+.4f} … {most:+.4f})"
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{path} isn't a verdict: {error}", remedy="give the file that embedtune gate --json was printed into"
        ) from error
    return lines
