"""The main job end to end, on text that is on every machine: the recipe quickstart.yaml, and what it found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from embedtune import progress
from embedtune.artifact import provenance, write_text_whole
from embedtune.data.converters.docstrings import DocstringOptions
from embedtune.evaluate.evaluation import read_evaluation
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options
from embedtune.pipeline.recipe import Recipe
from embedtune.pipeline.run_folder import RunFolder
from embedtune.pipeline.running import FinishedStep, run_recipe
from embedtune.pipeline.step_kind import Workshop

__all__ = ["QUICKSTART", "QuickstartOptions", "QuickstartSummary", "quickstart"]

QUICKSTART = Path(__file__).with_name("quickstart.yaml")
_NOTICE = "summary lines are not human search queries: this shows that tuning works here, not how much it gives you"


class QuickstartOptions(Options):
    """What the quickstart trains, and how much."""

    encoder: str = Field(default="minilm", description="The model to tune.")
    epochs: int = Field(default=1, ge=1, description="How often every training example is seen.")
    batch_size: int = Field(default=32, ge=2, description="Queries in a training batch.")
    learning_rate: float = Field(default=5e-5, gt=0, description="Peak learning rate.")
    negatives: int = Field(default=1, ge=0, description="Hard negatives for each training query.")
    validations: int = Field(default=2, ge=1, description="How often to score the val split while training.")


@dataclass(frozen=True)
class QuickstartSummary:
    """What summary.json holds, and the steps that it comes from."""

    content: dict[str, Any]
    steps: Mapping[str, FinishedStep]


def quickstart(
    folder: Path,
    options: QuickstartOptions,
    docstring_options: DocstringOptions,
    encoder_options: EncoderOptions,
    cache: EmbeddingCache,
) -> QuickstartSummary:
    """Builds a dataset from docstrings, tunes the encoder on it, and measures what that gave.

    Everything goes to `folder`, a run like any other; steps that are done and up to date are reused.
    Test queries are only scored at the end, with BM25, the base model and the tuned one.
    """
    progress.say(f"note: {_NOTICE}")
    recipe = Recipe.read(QUICKSTART, list(_changes(options, docstring_options, encoder_options)))
    steps = {step.name: step for step in run_recipe(recipe, RunFolder(folder), Workshop(cache))}
    compared = _json(steps["compare"], "comparison")
    means = {name: read_evaluation(_output(steps[name], "evaluation")).scores.means() for name in ("bm25", "base")}
    content = {
        **means,
        "tuned": read_evaluation(_output(steps["tuned"], "evaluation")).scores.means(),
        "difference": {"measure": compared["measure"]} | compared["differences"][compared["measure"]],
        "gate": _json(steps["gate"], "verdict"),
        "seconds": {name: step.seconds for name, step in steps.items()},
        "model": steps["train"].outputs["model"],
        "page": steps["report"].outputs["page"],
        "notice": _NOTICE,
    } | provenance()
    write_text_whole(folder / "summary.json", json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    return QuickstartSummary(content, steps)


def _changes(options: QuickstartOptions, docstrings: DocstringOptions, encoding: EncoderOptions) -> Iterator[str]:
    """Yields what the command line says of the recipe, as --set takes it."""
    yield f"encoder={json.dumps(options.encoder)}"
    for name, value in encoding.model_dump(mode="json", exclude_defaults=True).items():
        yield f"encoder_options.{name}={json.dumps(value)}"
    for name, value in docstrings.model_dump(mode="json").items():
        yield f"import.{name}={json.dumps(value)}"
    for name in ("epochs", "batch_size", "learning_rate", "negatives", "validations"):
        yield f"train.{name}={json.dumps(getattr(options, name))}"
    yield f"train.seed={docstrings.seed}"
    yield f"mine.negatives={max(1, options.negatives)}"


def _output(step: FinishedStep, thing: str) -> Path:
    return Path(step.outputs[thing])


def _json(step: FinishedStep, thing: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_output(step, thing).read_text(encoding="utf-8"))
    return content
