"""One recommendation from what val and the guards say; test isn't among what it is given (design/0006-bakeoff.md)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from embedtune.evaluate.comparison import CompareOptions, Comparison, compare
from embedtune.evaluate.evaluation import Evaluation
from embedtune.evaluate.guard_options import GuardOptions
from embedtune.evaluate.verdict import GuardVerdict, judge_guard
from embedtune.pipeline.bakeoff.systems import BASE, System
from embedtune.pipeline.bakeoff.words import say
from embedtune.report.content import Words

__all__ = ["Recommendation", "Standing", "Fate", "holm", "recommend"]

_SIGNIFICANCE = 0.05
_POINTS = 2


@dataclass(frozen=True)
class Standing:
    """What is known of a system when it is decided: val, the guards by name, the documents to encode again."""

    system: System
    val: Evaluation
    guards: Mapping[str, Evaluation]
    documents_to_encode: int = 0


@dataclass(frozen=True)
class Fate:
    """What became of a system: its difference from the base on val, p corrected for all systems, and why not it.

    `lost` are the guards that stand against it. The base's own fate has no difference.
    """

    words: Words
    mean: float | None = None
    difference: float = 0.0
    interval: tuple[float, float] = (0.0, 0.0)
    p: float = 1.0
    lost: Sequence[str] = ()


@dataclass(frozen=True)
class Recommendation:
    """The system to use, in a sentence, and why; a fate for every system that was measured."""

    chosen: str
    headline: Words
    reasons: Sequence[Words]
    fates: Mapping[str, Fate]

    def to_json(self) -> dict[str, Any]:
        """Returns the recommendation as JSON values; words as [English, Chinese]."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recommendation:
        """Returns what to_json gave."""
        fates = {
            name: Fate(**{**fate, "words": Words(*fate["words"]), "interval": tuple(fate["interval"])})
            for name, fate in values["fates"].items()
        }
        reasons = [Words(*words) for words in values["reasons"]]
        return cls(values["chosen"], Words(*values["headline"]), reasons, fates)


def recommend(standings: Sequence[Standing], options: GuardOptions, *, named_guards: Collection[str]) -> Recommendation:
    """Returns the cheapest system that gains on val, keeps its guards, and is beaten by no dearer such one.

    `standings` go from cheap to dear, the base first. A gain counts where its 95 % interval is above
    zero and p is under 0.05, corrected for the number of systems by Holm's method; so does one system's lead over
    another. A guard stands against what replaces the model; against what serves one index alone only where it is
    among `named_guards`.
    """
    return _Choice(standings, options, named_guards).recommendation()


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Returns p corrected for their number; Holm 1979 (https://www.jstor.org/stable/4615733)."""
    corrected: dict[str, float] = {}
    least = 0.0
    for place, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        least = max(least, min(1.0, p_values[name] * (len(p_values) - place)))
        corrected[name] = least
    return corrected


class _Choice:
    def __init__(self, standings: Sequence[Standing], options: GuardOptions, named: Collection[str]) -> None:
        self.base, self.others = standings[0], list(standings[1:])
        self.options, self.named = options, frozenset(named)
        self.gains = self._against(self.base, self.others)
        self.verdicts = {one.system.name: self._verdicts(one) for one in self.others}
        self.lost = {
            one.system.name: [verdict for verdict in self.verdicts[one.system.name] if self._vetoes(verdict, one)]
            for one in self.others
        }

    def recommendation(self) -> Recommendation:
        able = [one for one in self.others if self.gains[one.system.name].shown and not self.lost[one.system.name]]
        beaten: dict[str, tuple[str, _Lead]] = {}
        chosen = self.base
        leads: dict[str, _Lead] = {}
        for place, one in enumerate(able):
            leads = self._against(one, able[place + 1 :])
            better = {name: lead for name, lead in leads.items() if lead.shown}
            if not better:
                chosen = one
                break
            rival = max(better, key=lambda name: better[name].mean)
            beaten[one.system.name] = (rival, better[rival])
        reasons = self._why(chosen, leads, beaten) if chosen is not self.base else self._why_base()
        name = chosen.system.name
        return Recommendation(name, say(f"use.{name}"), reasons, self._fates(name, leads, beaten))

    def _against(self, one: Standing, others: Sequence[Standing]) -> dict[str, _Lead]:
        """Returns how far each of the others is before `one` on val."""
        options = self.options
        comparing = CompareOptions(measure=options.measure, resamples=options.resamples, seed=options.seed, moved=0)
        compared = {other.system.name: compare(one.val, other.val, comparing) for other in others}
        corrected = holm({name: comparison.main.p for name, comparison in compared.items()})
        return {name: _Lead(comparison, corrected[name], len(compared)) for name, comparison in compared.items()}

    def _verdicts(self, one: Standing) -> list[GuardVerdict]:
        return [judge_guard(name, self.base.guards[name], guard, self.options) for name, guard in one.guards.items()]

    def _vetoes(self, verdict: GuardVerdict, one: Standing) -> bool:
        return not verdict.kept and (one.system.replaces_model or verdict.name in self.named)

    def _why(
        self, chosen: Standing, leads: Mapping[str, _Lead], beaten: Mapping[str, tuple[str, _Lead]]
    ) -> list[Words]:
        name = chosen.system.name
        reasons = [self._gain("reason.gain", name)]
        if chosen.system.method or name == "merged":
            reasons.append(say("reason.flattered"))
        if chosen.system.replaces_model:
            reasons.append(say("reason.encode_again", documents=chosen.documents_to_encode))
        else:
            reasons.append(say("reason.one_index"))
        reasons += [
            say("reason.guard_kept", guard=verdict.name, points=-100 * verdict.loss)
            for verdict in self.verdicts[name]
            if chosen.system.replaces_model or verdict.name in self.named
        ]
        for cheap, (rival, lead) in beaten.items():
            reasons.append(say("reason.beaten", system=cheap, rival=rival, **lead.values()))
        reasons += [say("reason.no_dearer", rival=rival, system=name, **lead.values()) for rival, lead in leads.items()]
        return reasons + self._lost_guards()

    def _why_base(self) -> list[Words]:
        if not self.others:
            return [say("reason.only_base")]
        lost = self._lost_guards()
        open_ones = {name: lead for name, lead in self.gains.items() if not lead.shown}
        if not open_ones:
            return lost
        nearest = max(open_ones, key=lambda name: open_ones[name].mean)
        return [*lost, self._gain("reason.none", nearest), *open_ones[nearest].queries_needed()]

    def _lost_guards(self) -> list[Words]:
        """Returns a sentence for each system that gains and loses a guard that stands against it."""
        return [
            say(
                "reason.guard_lost",
                system=name,
                points=100 * self.gains[name].mean,
                loss=100 * verdict.loss,
                guard=verdict.name,
                allowed=100 * verdict.allowed,
            )
            for name, verdicts in self.lost.items()
            for verdict in verdicts
            if self.gains[name].shown
        ]

    def _gain(self, key: str, name: str) -> Words:
        lead, main = self.gains[name], self.gains[name].comparison.main
        return say(
            key,
            system=name,
            measure=self.options.measure,
            base=main.mean_a,
            tuned=main.mean_b,
            systems=lead.corrected_for,
            **lead.values(),
        )

    def _fates(
        self, chosen: str, leads: Mapping[str, _Lead], beaten: Mapping[str, tuple[str, _Lead]]
    ) -> dict[str, Fate]:
        base_words = say("outcome.chosen") if chosen == BASE else say("outcome.base")
        fates = {BASE: Fate(base_words, self.base.val.scores.mean(self.options.measure))}
        for name, lead in self.gains.items():
            main = lead.comparison.main
            if name == chosen:
                words = say("outcome.chosen")
            elif not lead.shown:
                words = say("outcome.not_shown")
            elif self.lost[name]:
                words = say("outcome.guard", guard=self.lost[name][0].name)
            elif name in beaten:
                words = say("outcome.beaten", rival=beaten[name][0])
            else:
                words = say("outcome.dearer", system=chosen)
            lost = [verdict.name for verdict in self.lost[name]]
            fates[name] = Fate(words, main.mean_b, main.mean, main.interval, lead.p, lost)
        return fates


@dataclass(frozen=True)
class _Lead:
    """How far one system is before another, with p corrected for all that were compared at once."""

    comparison: Comparison
    p: float
    corrected_for: int

    @property
    def mean(self) -> float:
        return self.comparison.main.mean

    @property
    def shown(self) -> bool:
        return self.comparison.main.interval[0] > 0 and self.p < _SIGNIFICANCE

    def values(self) -> dict[str, float]:
        """Returns the numbers of a sentence, in points."""
        low, high = self.comparison.main.interval
        return {"points": 100 * self.mean, "low": 100 * low, "high": 100 * high, "p": self.p}

    def queries_needed(self) -> list[Words]:
        needed = self.comparison.queries_needed.get(str(_POINTS))
        if needed is None or needed <= self.comparison.queries:
            return []
        return [say("reason.needed", queries=self.comparison.queries, needed=needed, points=float(_POINTS))]
