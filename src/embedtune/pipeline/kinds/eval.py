"""Measures how well an encoder, BM25 or both retrieve."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from embedtune.data.json_format import read_qrels
from embedtune.evaluate.evaluation import evaluate, write_evaluation
from embedtune.models.encoder import EncoderOptions
from embedtune.options import Options
from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult
from embedtune.search.retrievers import make_retriever, needs_encoder

__all__ = ["STEP", "EvalStep"]

_SHOWN = "ndcg_at_10"


class EvalStep(Options):
    """What is measured."""

    retriever: Literal["dense", "bm25", "hybrid"] = Field(default="dense", description="What searches.")
    index: str = Field(default="exact", description="Index of dense search; all but exact are approximate.")
    split: str = Field(default="val", description="Split whose queries are asked; all for every query.")
    top_k: int = Field(default=10, ge=1, description="Documents to retrieve for a query.")


def _work(job: StepJob) -> StepResult:
    step, data = job.of(EvalStep), job.dataset()
    dense = needs_encoder(step.retriever)
    encoder = job.encoder() if dense else None
    qrels = None if job.inputs.get("qrels") is None else read_qrels(job.inputs["qrels"])
    retriever = make_retriever(step.retriever, data.corpus, encoder, job.workshop.cache, step.index)
    evaluation = evaluate(data, retriever, split=step.split, top_k=step.top_k, qrels=qrels)
    made_from = {
        "dataset": job.inputs["data"],
        "dataset_sha256": data.content_hash(),
        "qrels": job.inputs.get("qrels"),
        "encoder": job.inputs.get("encoder") if dense else None,
        "encoder_key": None if encoder is None else encoder.cache_key,
        **step.model_dump(),
    }
    write_evaluation(evaluation, job.folder / "evaluation", made_from)
    means = evaluation.scores.means()
    shown = f"{_SHOWN} {means[_SHOWN]}" if _SHOWN in means else f"{means}"
    return StepResult([f"{len(evaluation.scores.query_ids):,} queries of {step.split!r}: {shown}"])


STEP = StepKind(
    version=1,
    outputs={"evaluation": "evaluation"},
    inputs=(
        StepInput("data", "dataset", "The dataset to ask."),
        StepInput("encoder", "model", "The model that searches; bm25 needs none.", optional=True, default="encoder"),
        StepInput("qrels", "file", "JSON with graded judgements in the place of the dataset's.", optional=True),
    ),
    options=lambda given: (EvalStep, EncoderOptions),
    work=_work,
    ignores=lambda given: frozenset({"encoder"} if given.get("retriever") == "bm25" else ()),
)
