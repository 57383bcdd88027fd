"""sentence-transformers' trainer: it steps the optimizer, the schedule and the log; batches and gradients are ours."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from torch import nn
from torch.utils.data import DataLoader
from transformers import PrinterCallback

from embedtune import processes
from embedtune.train.batches import PlannedSampler, PositionsCollator, positions_of
from embedtune.train.options import TrainOptions
from embedtune.train.sizes import Sizes
from embedtune.train.step import TrainingStep

__all__ = ["make_trainer"]

_SEED_OF_NEXT_STEP = 1_000_003
_SEED_OF_NEXT_PROCESS = 7_919
_PREPARED = "_is_accelerate_prepared"


def make_trainer(
    step: TrainingStep, batches: PlannedSampler, steps: int, sizes: Sizes, options: TrainOptions, folder: Path
) -> SentenceTransformerTrainer:
    """Returns a trainer of the step's model that goes through the batches; `steps` are those of the whole plan."""
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=sizes.batch_size,
        learning_rate=options.learning_rate,
        warmup_steps=math.ceil(options.warmup_share * steps),
        lr_scheduler_type="cosine",
        seed=options.seed,
        fp16=sizes.precision == "float16",  # scales the loss; the forward pass casts by itself
        use_cpu=sizes.device.type == "cpu",
        dataloader_drop_last=True,  # the batches are ours, and none is; else it warns of several processes
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to=options.report_to.split(","),
        disable_tqdm=True,
    )
    model, count = step.forward_pass.model, len(step.training_set.examples)
    if processes.count() > 1:
        setattr(model, _PREPARED, True)  # else accelerate wraps it, to do once more what a step does: add up gradients
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({"example": list(range(count))}),
        data_collator=PositionsCollator(),
        loss=nn.ModuleDict({"model": model}),  # the trainer optimises the parameters of its loss
    )
    trainer.step, trainer.batches = step, batches
    trainer.remove_callback(PrinterCallback)
    return trainer


class _Trainer(SentenceTransformerTrainer):
    """Takes its batches and gradients from us; everything else is the trainer's."""

    step: TrainingStep
    batches: PlannedSampler

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Returns whole batches for every process: a step itself divides its texts among them."""
        return DataLoader(self.train_dataset, batch_sampler=self.batches, collate_fn=self.data_collator)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Adds none: it would take the positions of examples for texts."""

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Returns the loss; each step's dropout depends on the seed and its number alone, so that it can be resumed."""
        model.train()
        seed = self.args.seed + _SEED_OF_NEXT_STEP * self.state.global_step
        torch.manual_seed(seed + _SEED_OF_NEXT_PROCESS * processes.rank())
        return self.step(positions_of(inputs), self.accelerator.backward)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Logs the step's own loss: the trainer would divide the first one after a resumption by all steps before."""
        if "loss" in logs:
            logs = logs | {"loss": self.step.last_loss}
        super().log(logs, start_time)
