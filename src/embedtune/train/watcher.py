"""Watches a training: scores, logs, keeps the best weights, makes checkpoints, and ends it when nothing is gained."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from transformers import TrainerCallback, TrainerControl, TrainerState

from embedtune import processes, progress
from embedtune.errors import EmbedtuneError, EncoderError, StorageError
from embedtune.train.checkpoints import Snapshot, WorkFolder, trainable_weights
from embedtune.train.job import Checkpoint, best_of
from embedtune.train.options import TrainOptions
from embedtune.train.step import DivergedError, TrainingStep
from embedtune.train.time_limit import TimeLimit, end_schedule_at, validation_steps
from embedtune.train.together import on_writer
from embedtune.train.validation import Validator

__all__ = ["Watcher"]

_MEASURED_STEPS = 4
"""The first is slower than the others; the next ones tell how long it will take."""


class Watcher(TrainerCallback):
    """Scores the val split at the planned steps and keeps a copy of the best weights."""

    def __init__(
        self,
        validator: Validator,
        current: Callable[[], SentenceTransformer],
        work: WorkFolder,
        step: TrainingStep,
        options: TrainOptions,
    ) -> None:
        self.validator = validator
        self.current = current
        self.work = work
        self.step = step
        self.options = options
        self.checkpoints: list[Checkpoint] = []
        self.log: list[dict[str, Any]] = []
        self.best_weights: dict[str, torch.Tensor] = {}
        self.report: Callable[[dict[str, float]], None] | None = None
        self._snapshot: Snapshot | None = None
        self._losses: list[float] = []

    def begin(
        self,
        model: SentenceTransformer,
        base: dict[str, torch.Tensor],
        batches: Sequence[list[int]],
        training: progress.ProgressTask,
        snapshot: Snapshot | None,
    ) -> None:
        """Takes up what a checkpoint knows, or scores the base model."""
        self.model, self.progress, self.batches = model, training, batches
        self.best_weights = base
        documents = len(self.validator.corpus)
        in_steps = validation_steps(self.step.training_set.examples, max(map(len, batches)), documents)
        self._limit = TimeLimit(60 * (self.options.max_minutes or math.inf), len(batches), in_steps)
        self._planned = planned_steps(len(batches), self.options.validations)
        self._started = self._last_saved = time.monotonic()
        self._begun_at = 0 if snapshot is None else snapshot.step
        if snapshot is None:
            self._limit.begin()
            self.validate(0)
            self._started = self._last_saved = time.monotonic()
            return
        self._snapshot = snapshot
        self.checkpoints = [Checkpoint(**checkpoint) for checkpoint in snapshot.checkpoints]
        self.log = snapshot.log
        self._limit.begin(snapshot.seconds)
        self._limit.last_step = next((line["steps"] for line in reversed(self.log) if "steps" in line), len(batches))
        self._planned = planned_steps(self._limit.last_step, self.options.validations)
        self._started -= snapshot.seconds
        since = self.checkpoints[-1].step
        self._losses = [line["loss"] for line in self.log if "loss" in line and line["step"] > since]
        if best_of(self.checkpoints).step:
            self.best_weights = snapshot.best or snapshot.weights
        training.resume(snapshot.step)

    def on_train_begin(
        self, args: Any, state: TrainerState, control: TrainerControl, optimizer: Any, lr_scheduler: Any, **kwargs: Any
    ) -> None:
        """Gives optimizer and schedule the state of the checkpoint."""
        self._optimizer, self._scheduler = optimizer, lr_scheduler
        self._limit.steps_begin()
        snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None:
            state.global_step = snapshot.step
            optimizer.load_state_dict(snapshot.optimizer)
            groups = len(optimizer.param_groups)
            lr_scheduler.load_state_dict(snapshot.scheduler | {"lr_lambdas": [None] * groups})
            if snapshot.scaler:
                optimizer.scaler.load_state_dict(snapshot.scaler)
            if self._limit.last_step < len(self.batches):
                end_schedule_at(lr_scheduler, self._limit.last_step, self.options.warmup_share)

    def on_log(
        self,
        args: Any,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Notes a step; validates, makes a checkpoint and ends the training where it is time."""
        if logs is None or "loss" not in logs:
            return
        step = state.global_step
        self._limit.step_done()
        self._losses.append(logs["loss"])
        self.log.append(self._line(step) | {name: value for name, value in logs.items() if name != "epoch"})
        self.progress.advance(note=self._note())
        if step - self._begun_at == _MEASURED_STEPS:
            self._first_moment = time.monotonic()
            self._fit_into_time(step)
        if step - self._begun_at == 2 * _MEASURED_STEPS:
            self._say_time_left(step)
        if step in self._planned:
            self.validate(step)
            self._limit.validated()
            self._fit_into_time(step)
            if self._gained_nothing():
                control.should_training_stop = True
        if step >= self._limit.last_step or self._limit.is_over(step):
            control.should_training_stop = True
        if step < len(self.batches) and not control.should_training_stop and self._checkpoint_is_due(step):
            self._save(step)

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Validates the last step where the plan didn't."""
        if self.checkpoints[-1].step != state.global_step:
            self.validate(state.global_step)

    def validate(self, step: int) -> None:
        """Scores the model as it is and keeps its weights if none was better; raises DivergedError for broken ones."""
        try:
            score = on_writer(lambda: self.validator.score(self.current()))
        except EncoderError as error:
            if step == 0:
                raise
            raise DivergedError(
                f"after step {step} {error.found}", where=error.where, remedy="lower --learning-rate"
            ) from error
        mean_loss = sum(self._losses) / len(self._losses) if self._losses else None
        self._losses.clear()
        if step and all(score > checkpoint.score for checkpoint in self.checkpoints):
            self.best_weights = trainable_weights(self.model)
        self.checkpoints.append(Checkpoint(step, score, mean_loss))
        self.log.append(self._line(step) | {self.validator.measure: score, "mean_loss": mean_loss})
        if self.report is not None:
            self.report({f"val_{self.validator.measure}": score})
        loss = "" if mean_loss is None else f", mean loss {mean_loss:.4f}"
        progress.say(f"step {step}: val {self.validator.measure} {score:.5f}{loss}")

    def end_early(self, stopped: DivergedError) -> str:
        """Returns what is said of a training that broke down; raises it where nothing better than the base is left."""
        best = best_of(self.checkpoints)
        broken_at = self.log[-1]["step"] + 1
        if best.step == 0:
            raise EmbedtuneError(
                f"{stopped.found} at step {broken_at}; no earlier weights were better than the base model's, so "
                "nothing was written",
                where=stopped.where,
                remedy=stopped.remedy,
            ) from stopped
        place = f" in {stopped.where}" if stopped.where else ""
        words = (
            f"training broke down at step {broken_at}: {stopped.found}{place}; the weights of step {best.step} are kept"
        )
        progress.say(f"warning: {words}\n  to do: {stopped.remedy}")
        return words

    def cut_short(self) -> list[str]:
        """Returns what is said where the time ended the training before its last step."""
        last, steps = self._limit.last_step, len(self.batches)
        if self.options.max_minutes is None or last == steps:
            return []
        return [f"{last} of {steps} steps fitted into {self.options.max_minutes:.3g} minutes (--max-minutes)"]

    def _fit_into_time(self, step: int) -> None:
        """Cuts the steps down to what fits; the validations and the learning rate are spread over those."""
        if not self._limit.cut(step, max(1, sum(planned > step for planned in self._planned))):
            return
        last = self._limit.last_step
        progress.say(f"{last} of {len(self.batches)} steps fit into the time")
        self._planned = planned_steps(last, self.options.validations)
        self.log.append(self._line(step) | {"steps": last})
        end_schedule_at(self._scheduler, last, self.options.warmup_share)

    def _gained_nothing(self) -> bool:
        patience = self.options.patience
        since_best = len(self.checkpoints) - 1 - self.checkpoints.index(best_of(self.checkpoints))
        if patience is None or since_best < patience:
            return False
        progress.say(f"stops: no gain on val in {since_best} validations (--patience {patience})")
        return True

    def _checkpoint_is_due(self, step: int) -> bool:
        due = step in self._planned or time.monotonic() - self._last_saved >= 60 * self.options.checkpoint_minutes
        return due and processes.is_writer()

    def _save(self, step: int) -> None:
        best = best_of(self.checkpoints).step
        scaler = getattr(self._optimizer, "scaler", None)
        schedule = {name: value for name, value in self._scheduler.state_dict().items() if name != "lr_lambdas"}
        snapshot = Snapshot(
            step=step,
            weights=trainable_weights(self.model),
            best=self.best_weights if best not in (0, step) else {},
            optimizer=self._optimizer.state_dict(),
            scheduler=schedule,
            scaler={} if scaler is None else scaler.state_dict(),
            micro_batch_size=self.step.gradient_cache.micro_batch_size,
            seconds=time.monotonic() - self._started,
            log=self.log,
            checkpoints=[vars(checkpoint) for checkpoint in self.checkpoints],
        )
        try:
            self.work.save(snapshot)
        except StorageError as error:
            progress.say(f"warning: no checkpoint of step {step} was made, training goes on: {error}")
        self._last_saved = time.monotonic()

    def _line(self, step: int) -> dict[str, Any]:
        return {"step": step, "seconds": round(time.monotonic() - self._started, 2)}

    def _note(self) -> str:
        best = best_of(self.checkpoints)
        recent = [line["loss"] for line in self.log[-20:] if "loss" in line]
        return f"loss {sum(recent) / len(recent):.4f}, best val {best.score:.4f} at step {best.step}"

    def _say_time_left(self, step: int) -> None:
        seconds = (time.monotonic() - self._first_moment) / _MEASURED_STEPS
        left = seconds * (self._limit.last_step - step)
        progress.say(f"{seconds:.2f} s a step, so {_spoken(left)} to go, and the validations besides")


def planned_steps(steps: int, validations: int) -> set[int]:
    """Returns after which steps val is scored, evenly spread, the last one among them."""
    return {round(steps * number / validations) for number in range(1, validations + 1)} - {0}


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 90 * 60 else f"{seconds / 3600:.1f} hours"
