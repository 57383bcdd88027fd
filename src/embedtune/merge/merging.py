"""Mixes tuned models with their base and writes the result as a model like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embedtune.artifact import refuse_strangers
from embedtune.errors import OptionsError
from embedtune.merge.mixture import load_mixture
from embedtune.models.encoder import EncoderOptions
from embedtune.models.tuned import TUNED_MODEL, TunedModel

__all__ = ["equal_weights", "merge"]

_HALF = 0.5


def merge(
    base: str,
    tuned: str | Sequence[str],
    folder: Path,
    *,
    weights: float | Sequence[float] | None = None,
    encoder_options: EncoderOptions | None = None,
    made_from: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> TunedModel:
    """Writes the mixture of a base and models tuned from it; modules, pooling, prompts and tokenizer are theirs.

    `weights` are the tuned models' shares, the base has the rest of 1; without any the base has
    half. An adapter's map is drawn towards the identity instead. Raises EncoderError where more
    than weights differ, and writes nothing then.
    """
    names = [tuned] if isinstance(tuned, str) else list(tuned)
    shares = _listed(weights, len(names))
    refuse_strangers(folder, TUNED_MODEL, overwrite)
    options = encoder_options or EncoderOptions()
    mixed = load_mixture(base, names, options).model(shares)
    record = {
        "method": "merge",
        "base": base,
        "tuned": names,
        "weights": shares,
        "encoder_options": options.model_dump(),
    }
    return TunedModel.save(mixed, folder, record | dict(made_from or {}), overwrite=overwrite)


def equal_weights(total: float, count: int) -> list[float]:
    """Returns the weights of `count` tuned models that share `total` equally."""
    return [total / count] * count


def _listed(weights: float | Sequence[float] | None, count: int) -> list[float]:
    if not count:
        raise OptionsError("no tuned model is given", remedy="name at least one with --tuned")
    if weights is None:
        return equal_weights(_HALF, count)
    return [weights] if isinstance(weights, int | float) else list(weights) or equal_weights(_HALF, count)
