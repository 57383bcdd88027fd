"""What a training gives, and the folder that it becomes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from embedtune.models.tuned import TunedModel
from embedtune.train.checkpoints import WorkFolder
from embedtune.train.job import Checkpoint, TrainingJob
from embedtune.train.learning_curve import learning_curve_svg
from embedtune.train.options import TrainOptions
from embedtune.train.together import on_writer

__all__ = ["Trained"]

_LOG, _CURVE, _BOARD = "training.jsonl", "learning_curve.svg", "runs"


@dataclass(frozen=True)
class Trained:
    """The model with its best weights, on the CPU, plain and as it was trained; every validation; the log.

    `chosen` goes into the manifest: the sizes, the forward pass, and what there is to say.
    """

    model: SentenceTransformer
    as_trained: SentenceTransformer
    checkpoints: list[Checkpoint]
    log: Sequence[Mapping[str, Any]]
    work: WorkFolder
    chosen: Mapping[str, Any]

    def save(
        self, job: TrainingJob, method: str, options: TrainOptions, beside: Callable[[Path], object] | None = None
    ) -> TunedModel:
        """Writes the tuned model's folder with the log and the learning curve, then removes the checkpoints."""
        return on_writer(lambda: self._save(job, method, options, beside))

    def _save(
        self, job: TrainingJob, method: str, options: TrainOptions, beside: Callable[[Path], object] | None
    ) -> TunedModel:
        def write_beside(folder: Path) -> None:
            lines = (json.dumps(line, ensure_ascii=False) for line in self.log)
            (folder / _LOG).write_text("\n".join(lines) + "\n", encoding="utf-8")
            (folder / _CURVE).write_text(learning_curve_svg(self.log, options.val_measure), encoding="utf-8")
            if (self.work.folder / _BOARD).is_dir():
                shutil.copytree(self.work.folder / _BOARD, folder / _BOARD)
            if beside is not None:
                beside(folder)

        record = job.record(method, options, options.val_measure, self.checkpoints) | dict(self.chosen)
        tuned = TunedModel.save(self.model, job.folder, record, overwrite=job.overwrite, beside=write_beside)
        self.work.remove()
        return tuned
