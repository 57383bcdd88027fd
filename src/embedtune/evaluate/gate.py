"""The gate: a tuned model passes only where it gains and no guard loses more than allowed."""

from __future__ import annotations

from embedtune import progress
from embedtune.data.dataset import RetrievalDataset
from embedtune.evaluate.guard_options import GateOptions
from embedtune.evaluate.guards import Guards, guards_or_general
from embedtune.evaluate.trial import Trial
from embedtune.evaluate.verdict import Verdict, judge
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder

__all__ = ["gate"]


def gate(
    dataset: RetrievalDataset,
    base: Encoder,
    tuned: Encoder,
    *,
    guards: Guards | None = None,
    options: GateOptions | None = None,
    cache: EmbeddingCache | None = None,
) -> Verdict:
    """Returns whether a tuned model may replace its base.

    It passes only if the gain on the split is positive with its whole 95 % interval and no guard
    loses more than allowed. Guards are asked their split of the same name, else test, else all of
    their queries; without guards the general set stands in, with a warning. What was encoded is
    in the cache. Raises DataError for a guard or a split that nothing can be measured on.
    """
    options, cache = options or GateOptions(), cache or EmbeddingCache(None)
    trial = Trial(dataset, options.split, guards_or_general(guards, dataset), seed=options.seed)
    measured = trial.measure(base, cache)
    verdict = judge(measured, trial.measure(tuned, cache), options.split, options)
    for warning in verdict.warnings:
        progress.say(f"warning: {warning}")
    return verdict
