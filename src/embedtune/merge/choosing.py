"""Which share of the tuned model to take: the best on val among those that keep the guards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from embedtune import progress
from embedtune.data.dataset import RetrievalDataset
from embedtune.evaluate.guards import Guards, guards_or_general
from embedtune.evaluate.trial import Trial
from embedtune.evaluate.verdict import Verdict, judge
from embedtune.merge.merging import equal_weights
from embedtune.merge.mixture import load_mixture
from embedtune.merge.options import ChooseOptions
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, EncoderOptions, load_encoder

__all__ = ["Candidate", "WeightChoice", "choose_weight"]


@dataclass(frozen=True)
class Candidate:
    """A share of the tuned models, and what the gate says of it on val."""

    weight: float
    verdict: Verdict


@dataclass(frozen=True)
class WeightChoice:
    """Every weight tried, in rising order, and the chosen one; None is the base.

    Scores are on the val split and on samples of large corpora, so they say which is better, not
    how good it is elsewhere.
    """

    candidates: Sequence[Candidate]
    chosen: Candidate | None

    @property
    def weight(self) -> float:
        """Returns the chosen share of the tuned models, 0.0 for the base."""
        return self.chosen.weight if self.chosen is not None else 0.0

    def lines(self) -> list[str]:
        """Returns a table: a line a weight with its val score, its guards' and whether they are kept."""
        first = self.candidates[0].verdict
        names = [guard.name for guard in first.guards]
        rows = [["weight", f"{first.split} {first.measure}", *names, ""]]
        rows.append(["0", f"{first.gain.base:.4f}", *(f"{guard.base:.4f}" for guard in first.guards), "the base"])
        for weight, verdict in ((candidate.weight, candidate.verdict) for candidate in self.candidates):
            lost = [guard.name for guard in verdict.guards if not guard.kept]
            said = f"loses {', '.join(lost)}" if lost else "keeps the guards"
            said += ", chosen" if self.chosen is not None and weight == self.chosen.weight else ""
            scores = [f"{verdict.gain.tuned:.4f}", *(f"{guard.tuned:.4f}" for guard in verdict.guards)]
            rows.append([f"{weight:g}", *scores, said])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]

    def to_json(self) -> dict[str, Any]:
        """Returns the choice as JSON values."""
        tried = [{"weight": c.weight, "verdict": c.verdict.to_json()} for c in self.candidates]
        return {"chosen": self.weight, "candidates": tried}


def choose_weight(
    dataset: RetrievalDataset,
    base: str,
    tuned: str | Sequence[str],
    *,
    guards: Guards | None = None,
    options: ChooseOptions | None = None,
    encoder_options: EncoderOptions | None = None,
    cache: EmbeddingCache | None = None,
) -> WeightChoice:
    """Returns the share with the best val score among those whose guards are kept; the base where none beats it.

    The smaller share of equals. Beyond the grid it tries `refinements` more shares, where a larger
    one would gain more but loses a guard. Every mixture is encoded once and cached by its weights, so a
    second look with another limit encodes nothing; an adapter's mixtures are never encoded. With
    a grid of 1 alone nothing is mixed, and anything that load_encoder takes can be judged.
    """
    options, cache = options or ChooseOptions(), cache or EmbeddingCache(None)
    names = [tuned] if isinstance(tuned, str) else list(tuned)
    weights = options.grid
    encoder_of = _encoders(base, names, weights, encoder_options or EncoderOptions())
    trial = Trial(
        dataset, options.val_split, guards_or_general(guards, dataset), options.choose_documents, options.seed
    )
    measured = trial.measure(load_encoder(base, encoder_options), cache)
    candidates: list[Candidate] = []

    def try_out(weight: float) -> None:
        verdict = judge(measured, trial.measure(encoder_of(weight), cache), options.val_split, options)
        if not candidates:
            for warning in verdict.warnings:
                progress.say(f"warning: {warning}")
        candidates.append(Candidate(weight, verdict))
        candidates.sort(key=lambda candidate: candidate.weight)
        lost = ", ".join(f"{guard.name} {-100 * guard.loss:+.2f}" for guard in verdict.guards)
        progress.say(f"weight {weight:g}: {verdict.split} {100 * verdict.gain.mean:+.2f} points, guards {lost}")

    for weight in weights:
        try_out(weight)
    for _ in range(options.refinements):
        between = _worth_a_try(candidates)
        if between is not None:
            try_out(between)
    return WeightChoice(candidates, _best(candidates))


def _best(candidates: Sequence[Candidate]) -> Candidate | None:
    """Returns the candidate with the best val score of those that gain and keep the guards, the smaller of equals."""
    fit = [candidate for candidate in candidates if candidate.verdict.guards_kept and candidate.verdict.gain.mean > 0]
    return max(fit, key=lambda candidate: (candidate.verdict.gain.tuned, -candidate.weight), default=None)


def _worth_a_try(candidates: Sequence[Candidate]) -> float | None:
    """Returns the share between the best and the next larger one, if that one gains more but loses a guard."""
    best = _best(candidates)
    larger = [candidate for candidate in candidates if best is not None and candidate.weight > best.weight]
    if best is None or not larger or larger[0].verdict.guards_kept:
        return None
    gains_more = larger[0].verdict.gain.tuned > best.verdict.gain.tuned
    return (best.weight + larger[0].weight) / 2 if gains_more else None


def _encoders(
    base: str, tuned: Sequence[str], weights: Sequence[float], options: EncoderOptions
) -> Callable[[float], Encoder]:
    """Returns what makes the encoder of a weight; a tuned model as it is comes from its folder."""
    mixture = None if len(tuned) == 1 and set(weights) == {1.0} else load_mixture(base, tuned, options)

    def encoder_of(weight: float) -> Encoder:
        if mixture is None or (weight == 1 and len(tuned) == 1):
            return load_encoder(tuned[0], options)
        return mixture.encoder(equal_weights(weight, len(tuned)))

    return encoder_of
