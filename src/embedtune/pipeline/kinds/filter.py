"""Drops queries that would teach something wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedtune.language.options import LanguageOptions
from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options
from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult
from embedtune.synthesize.filtering import DEFAULT_FILTERS, FilterChoice, filter_queries
from embedtune.synthesize.filters import FILTERS
from embedtune.synthesize.material import FilterModels

__all__ = ["STEP"]


def _options(given: Mapping[str, Any]) -> tuple[type[Options], ...]:
    named = given.get("filters", DEFAULT_FILTERS)
    filters = [str(name) for name in named] if isinstance(named, list | tuple) else []
    return FilterChoice, *(FILTERS.load(name).OPTIONS for name in filters), EncoderOptions, LanguageOptions


def _work(job: StepJob) -> StepResult:
    choice = job.of(FilterChoice)
    chosen = {name: job.of(FILTERS.load(name).OPTIONS) for name in choice.filters}
    report = filter_queries(job.dataset(), chosen, choice=choice, models=_models(job))
    report.dataset.write(job.folder / "dataset.json")
    return StepResult(report.words())


def _models(job: StepJob) -> FilterModels:
    loaded: dict[str, Any] = {"cache": job.workshop.cache, "encoder": job.encoder()}
    if job.inputs.get("reranker") is not None:
        from embedtune.search.reranker_options import RerankerOptions
        from embedtune.search.reranking import load_reranker

        options = job.of(EncoderOptions)
        shared = {name: getattr(options, name) for name in ("precision", "device", "tokens_per_batch")}
        loaded["reranker"] = load_reranker(job.inputs["reranker"], RerankerOptions(**shared))
    if job.of(LanguageOptions).model:
        from embedtune.language.model import LanguageModel

        loaded["language_model"] = LanguageModel(job.of(LanguageOptions), job.workshop.replies)
    return FilterModels(**loaded)


STEP = StepKind(
    version=1,
    outputs={"dataset": "dataset.json"},
    inputs=(
        StepInput("data", "dataset", "The dataset whose queries are judged."),
        StepInput("encoder", "model", "Encoder that finds documents.", optional=True, default="encoder"),
        StepInput("reranker", "model", "A cross-encoder that scores pairs.", optional=True),
    ),
    options=_options,
    work=_work,
    plugins={"filters": FILTERS},
)
