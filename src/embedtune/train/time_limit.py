"""Cuts the steps of a training down to what fits into the time that it has."""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Sequence
from typing import Any

from embedtune.data.training_set import TrainingExample
from embedtune.train.together import on_writer

__all__ = ["TimeLimit", "end_schedule_at", "validation_steps"]

_FOR_SAVING = 0.04
_FORWARD_SHARE = 1 / 3
"""Of a training step: the forward pass beside the backward one, which computes about twice as much."""


class TimeLimit:
    """How many steps there are, and how many of them fit; `seconds` are those of the whole training.

    `validation_steps` is how many steps take about as long as a validation, until one was measured.
    """

    def __init__(self, seconds: float, steps: int, validation_steps: float) -> None:
        self.seconds = seconds
        self.last_step = steps
        self._validation_steps = validation_steps
        self._validation_seconds: float | None = None
        self._step_seconds: list[float] = []

    def begin(self, passed: float = 0.0) -> None:
        """Starts the clock; `passed` are the seconds of the training that a checkpoint brought."""
        self._mark = _now()
        self._started = self._mark - passed

    def steps_begin(self) -> None:
        """Keeps what was before the first step out of that step's time."""
        self._mark = _now()

    def step_done(self) -> None:
        """Notes how long a step took."""
        self._step_seconds.append(self._since_mark())

    def validated(self) -> None:
        """Notes how long a validation took."""
        self._validation_seconds = self._since_mark()

    def cut(self, step: int, validations: int) -> bool:
        """Returns whether `last_step` had to come down so that `validations` more fit in as well."""
        if math.isinf(self.seconds) or not self._step_seconds:
            return False
        last = max(step, self._last(step, validations))
        if last >= self.last_step:
            return False
        self.last_step = last
        return True

    def is_over(self, step: int) -> bool:
        """Returns whether another step would leave no time for a validation after it; `last_step` is this one then."""
        if math.isinf(self.seconds) or not self._step_seconds or self._last(step, 1) > step:
            return False
        self.last_step = min(step, self.last_step)
        return True

    def _last(self, step: int, validations: int) -> int:
        """Returns the last step that fits before some validations."""
        seconds = statistics.median(self._step_seconds)
        validation = self._validation_seconds
        if validation is None:
            validation = self._validation_steps * seconds
        left = self.seconds * (1 - _FOR_SAVING) - (_now() - self._started) - validations * validation
        return step + math.floor(left / seconds)

    def _since_mark(self) -> float:
        before, self._mark = self._mark, _now()
        return self._mark - before


def _now() -> float:
    """Returns the writer's clock, so that every process of a training ends with the same step."""
    return on_writer(time.monotonic)


def validation_steps(examples: Sequence[TrainingExample], batch_size: int, documents: int) -> float:
    """Returns how many training steps take about as long as encoding the documents of a validation."""
    in_a_step = batch_size * sum(1 + len(example.negative_ids) for example in examples) / len(examples)
    return _FORWARD_SHARE * documents / in_a_step


def end_schedule_at(scheduler: Any, step: int, warmup_share: float) -> None:
    """Lets a cosine schedule with warm-up come to its end with that step."""
    ends = {"num_training_steps": step, "num_warmup_steps": math.ceil(warmup_share * step)}
    changed = [functools.partial(one.func, *one.args, **one.keywords | ends) for one in scheduler.lr_lambdas]
    scheduler.lr_lambdas[:] = changed
