"""Adapts a model to a dataset; what comes out is the tuned model, a mixture or the base: whatever passes the gate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from embedtune.data.dataset import RetrievalDataset
from embedtune.data.replay import ReplayOptions, with_guards_kept, with_replay
from embedtune.data.training_set import TrainingSet
from embedtune.evaluate.guards import guards_or_general
from embedtune.merge.options import ChooseOptions
from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options
from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult
from embedtune.train.methods import METHODS
from embedtune.train.options import TrainOptions

__all__ = ["STEP", "TrainStep"]

_DEFAULT = "full"


class TrainStep(Options):
    """What is trained by which method, and whether the result is judged."""

    method: str = Field(default=_DEFAULT, description=f"{', '.join(METHODS.names())}.")
    split: str = Field(default="train", description="Split whose queries are trained on.")
    negatives: int = Field(default=4, ge=0, description="Hard negatives for each query.")
    merge: bool = Field(default=True, description="Try mixtures of the tuned model with its base.")
    gate: bool = Field(default=True, description="Without it the tuned model comes out unmixed and unjudged.")


def _options(given: Mapping[str, Any]) -> tuple[type[Options], ...]:
    method = METHODS.load(str(given.get("method", _DEFAULT))).OPTIONS
    return TrainStep, method, ChooseOptions, ReplayOptions, EncoderOptions


def _work(job: StepJob) -> StepResult:
    from embedtune.pipeline.gated_training import GatedTraining, train_alone, train_and_gate

    step, choose = job.of(TrainStep), job.of(ChooseOptions)
    data = job.dataset()
    training_set = TrainingSet.build(data, step.split, data.negative_docs, step.negatives)
    made_from: dict[str, Any] = {"dataset": job.inputs["data"], "dataset_sha256": data.content_hash()}
    made_from |= {"split": step.split}
    if job.inputs.get("replay") is not None:
        other, replay = RetrievalDataset.read(job.inputs["replay"]), job.of(ReplayOptions)
        training_set = with_replay(training_set, other, replay, negatives=step.negatives, seed=choose.seed)
        made_from |= {"replay": job.inputs["replay"], "replay_sha256": other.content_hash()} | replay.model_dump()
    options, given = job.of(METHODS.load(step.method).OPTIONS), job.guards() if step.gate else {}
    if given and isinstance(options, TrainOptions):
        training_set = with_guards_kept(training_set, given, job.of(ReplayOptions), seed=choose.seed)
        made_from |= {"guard_share": job.of(ReplayOptions).guard_share}
    training = GatedTraining(
        training_set=training_set,
        encoder=job.inputs["encoder"],
        folder=job.folder / "model",
        method=step.method,
        options=options,
        encoder_options=job.of(EncoderOptions),
        choose=choose,
        guards=guards_or_general(given, data) if step.gate else {},
        cache=job.workshop.cache,
        made_from=made_from,
        mixing=step.merge,
        overwrite=True,
    )
    outcome = train_and_gate(training) if step.gate else train_alone(training)
    return StepResult([f"what came out: {outcome.came_out}", *outcome.why])


STEP = StepKind(
    version=1,
    outputs={"model": "model"},
    inputs=(
        StepInput("data", "dataset", "The dataset to train on."),
        StepInput("encoder", "model", "The model to adapt.", default="encoder"),
        StepInput("replay", "dataset", "Another domain that is mixed in, so that it isn't forgotten.", optional=True),
        StepInput("guard", "dataset", "Sets that mustn't get worse, by name.", "named", optional=True, default="guard"),
    ),
    options=_options,
    work=_work,
    resumes=True,
    plugins={"method": METHODS},
)
