"""Says whether one evaluation is better than another, or whether it could be luck."""

from __future__ import annotations

import json
from pathlib import Path

from embedtune.artifact import write_text_whole
from embedtune.evaluate.comparison import CompareOptions, compare
from embedtune.evaluate.evaluation import read_evaluation
from embedtune.pipeline.step_kind import StepInput, StepJob, StepKind, StepResult

__all__ = ["STEP"]


def _work(job: StepJob) -> StepResult:
    a, b = (read_evaluation(Path(job.inputs[name])) for name in ("a", "b"))
    comparison = compare(a, b, job.of(CompareOptions))
    text = json.dumps(comparison.to_json(), ensure_ascii=False, indent=2) + "\n"
    write_text_whole(job.folder / "comparison.json", text)
    main = comparison.main
    low, high = main.interval
    return StepResult(
        [
            f"{comparison.measure} {main.mean_a:.4f} → {main.mean_b:.4f}, {main.mean:+.4f} "
            f"(95 % interval {low:+.4f} … {high:+.4f}, p = {main.p:.4f}, {comparison.queries:,} queries)",
            comparison.verdict(job.named["a"], job.named["b"]),
        ]
    )


STEP = StepKind(
    version=1,
    outputs={"comparison": "comparison.json"},
    inputs=(
        StepInput("a", "evaluation", "The first evaluation."),
        StepInput("b", "evaluation", "The second evaluation."),
    ),
    options=lambda given: (CompareOptions,),
    work=_work,
)
