"""The figures of fine_tuning.py as JSON beside it, and as tables in the docs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from embedtune.artifact import provenance, write_text_whole
from embedtune.evaluate.comparison import compare
from embedtune.evaluate.evaluation import Evaluation, read_evaluation
from measuring import mean_of

__all__ = ["publish", "tables"]

HERE = Path(__file__).parent
RESULT = HERE / "fine_tuning.json"
PAGES = (HERE.parent / "docs" / "training.md", HERE.parent / "docs" / "fine-tuning-results.md")
START, END = "<!-- tables: benchmarks/fine_tuning.py -->", "<!-- end of tables -->"
MEASURE = "ndcg_at_10"
GENERAL = "general"
ORDER = ("recipe", "recipe, accumulation 2", "ours, nothing held", "ours, same time", "ours", "merged")
NAMED = {
    "recipe": "case study's recipe",
    "recipe, accumulation 2": "case study's recipe, accumulation 2",
    "ours": "ours, the guard's texts held",
    "merged": "ours merged",
    "ours, same time": "ours, nothing held, in about the recipe's time",
}


class Measured(Protocol):
    """What is known of a story once some of it was run."""

    trained_on: str
    other: str
    folder: Path

    def base(self) -> dict[str, Evaluation]:
        """Returns the base model's evaluations."""


def publish(settings: Mapping[str, Any], stories: Sequence[Measured]) -> None:
    """Writes what is done so far."""
    done = {story.trained_on: summary(story) for story in stories}
    content = {"settings": dict(settings), "stories": done} | provenance()
    write_text_whole(RESULT, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    page = next((page for page in PAGES if page.exists() and START in page.read_text(encoding="utf-8")), None)
    if page is not None:
        before, _, rest = page.read_text(encoding="utf-8").partition(START)
        after = rest.partition(END)[2]
        write_text_whole(page, f"{before}{START}\n{tables(done)}{END}{after}")


def summary(story: Measured) -> dict[str, Any]:
    """Returns a story's rows: means over their seeds by query, compared with the base."""
    base = story.base()
    rows: dict[str, Any] = {"base": {name: evaluation.scores.mean(MEASURE) for name, evaluation in base.items()}}
    for row in ORDER:
        facts = {
            path.stem.rsplit("-", 1)[1]: _without_paths(json.loads(path.read_text(encoding="utf-8")))
            for path in sorted((story.folder / "facts").glob(f"{row}-*.json"))
        }
        if facts:
            measured = {name: _over_seeds(story.folder, row, list(facts), name, base[name]) for name in base}
            rows[row] = {
                "measured": measured,
                "gain_by_seed": measured[story.trained_on]["gain_by_seed"],
                "seeds": facts,
            }
    rows["gain_kept"] = {row: _kept_of(rows, row) for row in ("ours", "ours, nothing held")}
    return {"other": story.other, "rows": rows}


def _kept_of(rows: Mapping[str, Any], row: str) -> float | None:
    """Returns merged's gain as a share of a row's over the seeds of both; None where that gained nothing."""
    gains = [rows.get(name, {}).get("gain_by_seed", {}) for name in ("merged", row)]
    seeds = [seed for seed in gains[0] if seed in gains[1]]
    merged, whole = (math.fsum(of[seed] for seed in seeds) for of in gains)
    return merged / whole if whole > 0 else None


def _without_paths(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: fact for name, fact in facts.items() if name != "model"}


def _over_seeds(folder: Path, row: str, seeds: list[str], name: str, base: Evaluation) -> dict[str, Any]:
    evaluations = [read_evaluation(folder / "runs" / f"{row}-{seed}" / name) for seed in seeds]
    found = compare(base, mean_of(evaluations)).main
    by_seed = {seed: evaluation.scores.mean(MEASURE) for seed, evaluation in zip(seeds, evaluations, strict=True)}
    return {
        MEASURE: found.mean_b,
        "mean": found.mean,
        "interval": list(found.interval),
        "p": found.p,
        "by_seed": by_seed,
        "gain_by_seed": {seed: score - found.mean_a for seed, score in by_seed.items()},
        "queries": len(base.scores.query_ids),
    }


def tables(done: Mapping[str, Any]) -> str:
    """Returns a table for each collection that was trained on."""
    return "".join(_table(trained_on, story["other"], story["rows"]) for trained_on, story in done.items())


def _table(trained_on: str, other: str, rows: Mapping[str, Any]) -> str:
    base, names = rows["base"], (trained_on, other, GENERAL)
    lines = [
        f"\nTrained on {trained_on}; {MEASURE} on test, gain over the base in points (95 % interval), p:\n",
        f"| | {trained_on} | {other} | general set | seconds, of the processor | kept | gate lets pass |",
        "|---|---|---|---|---|---|---|",
        "| base | " + " | ".join(f"{base[name]:.4f}" for name in names) + " | | | |",
    ]
    for row in (row for row in ORDER if row in rows):
        measured, facts = rows[row]["measured"], list(rows[row]["seeds"].values())
        cells = [_cell(measured[name]) for name in names]
        spent = [
            math.fsum(fact.get(kind, math.nan) for fact in facts) / len(facts)
            for kind in ("seconds", "processor_seconds")
        ]
        passed = sum(fact["gate"]["passed"] for fact in facts)
        cells += [
            ", ".join("unknown" if math.isnan(one) else f"{one:.0f}" for one in spent),
            _kept(facts),
            f"{passed} of {len(facts)}",
        ]
        lines.append(f"| {NAMED.get(row, row)} | " + " | ".join(cells) + " |")
    kept = [f"{share:.0%} of {NAMED.get(row, row)}" for row, share in rows["gain_kept"].items() if share is not None]
    if kept:
        lines.append(f"\nOf the gain merged keeps {', '.join(kept)}, over the seeds of both.")
    return "\n".join(lines) + "\n"


def _cell(measured: Mapping[str, Any]) -> str:
    low, high = measured["interval"]
    return (
        f"{measured[MEASURE]:.4f}, {100 * measured['mean']:+.2f} ({100 * low:+.2f} … {100 * high:+.2f}), "
        f"{measured['p']:.4f}"
    )


def _kept(facts: Sequence[Mapping[str, Any]]) -> str:
    """Returns of each seed the merge weight, or the step that was kept of all steps."""
    if "weight" in facts[0]:
        return "weight " + ", ".join(f"{fact['weight']:g}" for fact in facts)
    return "step " + ", ".join(f"{fact.get('chosen_step', fact['steps'])}/{fact['steps']}" for fact in facts)
