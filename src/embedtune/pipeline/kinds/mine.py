"""Finds documents that look relevant and aren't."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from embedtune.artifact import write_text_whole
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import OptionsError
from embedtune.evaluate.doctor_options import DoctorOptions
from embedtune.evaluate.false_negatives import Diagnosis, diagnose
from embedtune.language.options import LanguageOptions
from embedtune.mine.options import MineOptions
from embedtune.mine.teacher import RerankerTeacher, Teacher
from embedtune.mine.written import with_negatives
from embedtune.models.encoder import Encoder, EncoderOptions
from embedtune.options import Options
from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult
from embedtune.search.reranker_options import RerankerOptions

__all__ = ["STEP", "MineStep"]


class MineStep(Options):
    """Whose negatives, and who looks at them."""

    split: str = Field(default="train", description="Split whose queries get negatives; all for every query.")
    judge: bool = Field(
        default=False, description="A language model, named by model, drops what is as good as a positive."
    )
    diagnose: bool = Field(default=False, description="Look for false negatives among those mined.")


def _options(given: Mapping[str, Any]) -> tuple[type[Options], ...]:
    rerank, judge = bool(given.get("rerank")), given.get("judge") is True
    if rerank and judge:
        raise OptionsError("rerank and judge are two teachers", remedy="choose one of them")
    if given.get("relabel") is True and not (rerank or judge):
        raise OptionsError("relabel needs a teacher that reads documents", remedy="add rerank: MODEL or judge: true")
    teacher = ((RerankerOptions,) if rerank else ()) + ((LanguageOptions,) if judge else ())
    doctor = (DoctorOptions,) if given.get("diagnose") is True else ()
    return MineStep, MineOptions, EncoderOptions, *teacher, *doctor


def _work(job: StepJob) -> StepResult:
    from embedtune.mine.mining import mine_negatives

    encoder, options, step = job.encoder(), job.of(MineOptions), job.of(MineStep)
    assert encoder is not None  # noqa: S101 - the recipe has been checked
    options.check()
    teacher = _teacher(job)
    dataset = job.dataset()
    report = mine_negatives(
        dataset, encoder, split=step.split, cache=job.workshop.cache, options=options, teacher=teacher
    )
    mined = with_negatives(dataset, report)
    mined.write(job.folder / "dataset.json")
    diagnosis = _diagnosis(job, mined, encoder) if step.diagnose else None
    content = {"options": options.model_dump(by_alias=True), "teacher": teacher.name if teacher else None}
    content |= {"mined": report.to_json(), "diagnosis": diagnosis.to_json() if diagnosis else None}
    write_text_whole(job.folder / "mining.json", json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    count = sum(len(mined) for mined in report.mined.values())
    dropped = ", ".join(f"{rule} {number:,}" for rule, number in report.dropped.items())
    said = [f"{count:,} negatives for {len(report.mined):,} queries; dropped: {dropped}"]
    if diagnosis is not None:
        said.append(f"{diagnosis.suspect:.1%} of the negatives look like hidden positives")
        said += [f"warning: {warning}" for warning in diagnosis.warnings]
    return StepResult(said)


def _teacher(job: StepJob) -> Teacher | None:
    """Returns what reads candidates together with their query, loaded; None where none was asked for."""
    name = job.inputs.get("rerank")
    if name is not None:
        from embedtune.search.reranking import load_reranker

        return RerankerTeacher(load_reranker(name, job.of(RerankerOptions)), name)
    if job.of(MineStep).judge:
        from embedtune.language.model import LanguageModel
        from embedtune.mine.judge import Judge

        return Judge(LanguageModel(job.of(LanguageOptions), job.workshop.replies))
    return None


def _diagnosis(job: StepJob, mined: RetrievalDataset, encoder: Encoder) -> Diagnosis | None:
    own = set(mined.split_query_ids(job.of(MineStep).split))
    negatives = {query_id: documents for query_id, documents in mined.negative_docs.items() if query_id in own}
    return diagnose(mined, negatives, encoder, cache=job.workshop.cache, options=job.of(DoctorOptions))


STEP = StepKind(
    version=1,
    outputs={"dataset": "dataset.json", "mining": "mining.json"},
    inputs=(
        StepInput("data", "dataset", "The dataset that gets negatives."),
        StepInput("encoder", "model", "Encoder that finds them.", default="encoder"),
        StepInput("rerank", "model", "A cross-encoder that drops what is as good as a positive.", optional=True),
    ),
    options=_options,
    work=_work,
)
