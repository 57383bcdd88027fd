"""Mixes the weights of tuned models with their base's."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from embedtune.errors import OptionsError
from embedtune.merge.options import ChooseOptions
from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options
from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult

__all__ = ["STEP", "MergeStep"]


class MergeStep(Options):
    """How much of each."""

    weight: tuple[float, ...] = Field(
        default=(), description="Share of each tuned model; the base has the rest. Default: half for all."
    )
    select: bool = Field(
        default=False, description="Try the grid on val and the guards, and take the best that keeps the guards."
    )


def _work(job: StepJob) -> StepResult:
    from embedtune.merge.choosing import choose_weight
    from embedtune.merge.merging import equal_weights, merge

    step, encoder_options = job.of(MergeStep), job.of(EncoderOptions)
    base, tuned = job.inputs["base"], job.inputs["tuned"]
    made_from: dict[str, Any] = {}
    said: list[str] = []
    refused = False
    shares = list(step.weight) or None
    if step.select:
        if shares or job.inputs.get("data") is None:
            raise OptionsError("select chooses the weight by a dataset", remedy="give data, and no weight")
        choice = choose_weight(
            job.dataset(),
            base,
            tuned,
            guards=job.guards(),
            options=job.of(ChooseOptions),
            encoder_options=encoder_options,
            cache=job.workshop.cache,
        )
        said = choice.lines()
        refused = choice.chosen is None
        if refused:
            said.append("no share of the tuned model gains on val and keeps the guards: the base came out")
        made_from, shares = {"choice": choice.to_json()}, equal_weights(choice.weight, len(tuned))
    model = merge(
        base, tuned, job.folder / "model", weights=shares, encoder_options=encoder_options, made_from=made_from
    )
    weights = ", ".join(f"{weight:g}" for weight in model.manifest["made_from"]["weights"])
    return StepResult([*said, f"shares of the tuned models: {weights}"], refused=refused)


STEP = StepKind(
    version=2,
    outputs={"model": "model"},
    inputs=(
        StepInput("data", "dataset", "The dataset that select chooses by.", optional=True),
        StepInput("base", "model", "The model as it was.", default="encoder"),
        StepInput("tuned", "model", "Models tuned from it.", "list"),
        StepInput("guard", "dataset", "Sets that mustn't get worse, by name.", "named", optional=True, default="guard"),
    ),
    options=lambda given: (MergeStep, ChooseOptions, EncoderOptions),
    work=_work,
)
