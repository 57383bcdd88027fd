"""Trains weights with sentence-transformers' trainer and keeps those that retrieve best, which may be the first.

The batches, the masked loss and the choice of the checkpoint are ours.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from datasets import Dataset
from pydantic import Field
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.modules import Router
from torch import nn
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState

from embedtune import progress
from embedtune.errors import EmbedtuneError, EncoderError, OptionsError
from embedtune.models.encoder import EncoderOptions
from embedtune.models.moved_documents import has_moved_documents
from embedtune.models.sentence_transformer import apply_options, choose_device, choose_precision, load_model
from embedtune.models.trainable import make_forward
from embedtune.options import Options
from embedtune.train.batches import BatchCollator, ConflictFreeSampler
from embedtune.train.contrastive import ContrastiveLoss
from embedtune.train.job import Checkpoint, TrainingJob
from embedtune.train.validation import Validator

__all__ = ["TrainOptions", "Trained", "load_trainable", "train_weights"]

AsPlain = Callable[[SentenceTransformer], SentenceTransformer]
"""Returns the model as it would be saved, and leaves the one it is given trainable."""


class TrainOptions(Options):
    """How a model is fine-tuned."""

    epochs: int = Field(default=2, ge=1, description="How often every example is seen.")
    batch_size: int = Field(default=32, ge=2, description="Queries in a batch; they share their negatives.")
    learning_rate: float = Field(default=5e-5, gt=0, description="Peak learning rate of AdamW.")
    warmup_share: float = Field(default=0.1, ge=0, lt=1, description="Share of steps that warm up; then cosine.")
    scale: float = Field(default=20.0, gt=0, description="1 / temperature: 20 for all-MiniLM, 50 for BGE v1.5.")
    dropout: bool = Field(default=False, description="Keep the model's dropout; off doubles the speed on a CPU.")
    validations: int = Field(default=3, ge=1, description="How often to score the val split, besides step 0.")
    val_split: str = Field(default="val", description="The split that chooses the checkpoint.")
    val_measure: str = Field(default="ndcg_at_10", description="The measure that chooses the checkpoint.")
    val_max_documents: int = Field(default=20_000, ge=100, description="Documents searched when validating.")
    texts_per_forward: int = Field(default=16, ge=1, description="Texts in one pass; grouped by length.")
    seed: int = Field(default=42, description="Seeds batches, dropout and the val sample.")


class Trained(NamedTuple):
    """The model with its best weights, on the CPU, and every validation."""

    model: SentenceTransformer
    checkpoints: list[Checkpoint]


def load_trainable(job: TrainingJob) -> SentenceTransformer:
    """Returns the job's model with its options; raises EncoderError where queries and documents part ways."""
    model = load_model(job.encoder, job.encoder_options)
    if has_moved_documents(job.encoder) or any(isinstance(module, Router) for module in model.children()):
        raise EncoderError(
            f"{job.encoder} has a map for queries or moved documents, which new weights would make worthless",
            remedy="name the model that it was made from, train that, and let adapter or NUDGE follow",
        )
    apply_options(model, job.encoder_options)
    return model


def train_weights(
    model: SentenceTransformer, job: TrainingJob, options: TrainOptions, as_plain: AsPlain = lambda model: model
) -> Trained:
    """Trains the model's trainable weights and returns it, as `as_plain` makes it, with the best ones.

    The val split is scored before training and then `validations` times; the highest score
    wins, the earlier one of equals, so that a model that only got worse comes out as it was.
    Raises EmbedtuneError where the loss isn't finite.
    """
    validator = Validator(
        job.training_set.dataset,
        options.val_split,
        measure=options.val_measure,
        max_documents=options.val_max_documents,
        seed=options.seed,
        encoder_options=job.encoder_options,
        cache=job.cache,
    )
    sampler = ConflictFreeSampler(job.training_set, options.batch_size, options.seed)
    steps = len(sampler) * options.epochs
    with (
        tempfile.TemporaryDirectory(prefix="embedtune-") as scratch,
        _dropout(model, options.dropout),
        progress.task("train", total=steps) as training,
    ):
        watcher = _Watcher(validator, lambda: as_plain(model), steps, options.validations, training)
        trainer = _make_trainer(model, sampler, options, job.encoder_options, Path(scratch))
        trainer.add_callback(watcher)
        watcher.validate(0)
        trainer.train()
    best = as_plain(model)
    best.load_state_dict(watcher.best_weights)
    return Trained(best.to("cpu"), watcher.checkpoints)


def _make_trainer(
    model: SentenceTransformer,
    sampler: ConflictFreeSampler,
    options: TrainOptions,
    encoder_options: EncoderOptions,
    scratch: Path,
) -> SentenceTransformerTrainer:
    device = choose_device(encoder_options.device)
    precision = choose_precision(encoder_options.precision, device)
    if precision == "int8":
        raise OptionsError("a model can't be trained in int8", remedy="use --precision bfloat16 or float32")
    training_set = sampler.training_set
    forward_pass = make_forward(model, precision, device, options.texts_per_forward)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(scratch),
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        warmup_steps=math.ceil(options.warmup_share * len(sampler) * options.epochs),
        lr_scheduler_type="cosine",
        seed=options.seed,
        bf16=precision == "bfloat16",
        fp16=precision == "float16",
        use_cpu=device.type == "cpu",
        batch_sampler=lambda dataset, **_: sampler,
        dataloader_pin_memory=device.type == "cuda",
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({"example": list(range(len(training_set.examples)))}),
        data_collator=BatchCollator(training_set, forward_pass),
        loss=ContrastiveLoss(forward_pass, options.scale),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


class _Trainer(SentenceTransformerTrainer):
    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Adds none: it would take the positions of examples for texts."""


class _Watcher(TrainerCallback):
    """Scores the val split at the planned steps and keeps a copy of the best weights."""

    def __init__(
        self,
        validator: Validator,
        current: Callable[[], SentenceTransformer],
        steps: int,
        validations: int,
        training: progress.ProgressTask,
    ) -> None:
        self.validator = validator
        self.current = current
        self.checkpoints: list[Checkpoint] = []
        self.best_weights: dict[str, torch.Tensor] = {}
        self.progress = training
        self._planned = {round(steps * number / validations) for number in range(1, validations + 1)} - {0}
        self._losses: list[float] = []

    def validate(self, step: int) -> None:
        """Scores the model as it is and keeps its weights if none was better."""
        model = self.current()
        score = self.validator.score(model)
        mean_loss = sum(self._losses) / len(self._losses) if self._losses else None
        self._losses.clear()
        if all(score > checkpoint.score for checkpoint in self.checkpoints):
            self.best_weights = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
        self.checkpoints.append(Checkpoint(step, score, mean_loss))
        loss = "" if mean_loss is None else f", mean loss {mean_loss:.4f}"
        progress.say(f"step {step}: val {self.validator.measure} {score:.5f}{loss}")

    def on_log(
        self,
        args: Any,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Collects each step's loss, ends the training on one that isn't finite, and validates."""
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            raise EmbedtuneError(
                f"the loss is {loss} at step {state.global_step}",
                remedy="lower learning_rate, or use --precision float32; nothing was written",
            )
        self._losses.append(loss)
        self.progress.advance()
        if state.global_step in self._planned:
            self.validate(state.global_step)

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Validates the last step, also where conflicts left an epoch with fewer batches than planned."""
        if self.checkpoints[-1].step != state.global_step:
            self.validate(state.global_step)


@contextmanager
def _dropout(model: nn.Module, keep: bool) -> Iterator[None]:
    """Switches dropout off while the block runs, unless it is to be kept."""
    layers = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    shares = [layer.p for layer in layers]
    for layer in layers:
        layer.p = layer.p if keep else 0.0
    try:
        yield
    finally:
        for layer, share in zip(layers, shares, strict=True):
            layer.p = share
