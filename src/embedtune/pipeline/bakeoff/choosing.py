"""The step that recommends: it reads val and guards of every system, and nothing of test."""

from __future__ import annotations

import json
from pathlib import Path

from embedtune.artifact import write_text_whole
from embedtune.evaluate.guard_options import GuardOptions
from embedtune.pipeline.bakeoff.measuring import Measured
from embedtune.pipeline.bakeoff.recommending import Recommendation, Standing, recommend
from embedtune.pipeline.bakeoff.systems import SYSTEMS
from embedtune.pipeline.step_kind import StepJob, StepResult

__all__ = ["RECOMMENDATION", "choose", "read_recommendation"]

RECOMMENDATION = "recommendation.json"


def choose(job: StepJob) -> StepResult:
    """Writes the recommendation; `job.inputs` names each system's folder."""
    standings = []
    for name, folder in job.inputs["systems"].items():
        measured = Measured.read(folder)
        if measured.left_out is None:
            documents = measured.documents_to_encode
            standings.append(Standing(SYSTEMS[name], measured.val(), measured.guards(), documents))
    made = recommend(standings, job.of(GuardOptions), named_guards=list(job.inputs.get("guard", {})))
    text = json.dumps(made.to_json(), ensure_ascii=False, indent=2)
    write_text_whole(job.folder / RECOMMENDATION, text + "\n")
    return StepResult([made.headline.en])


def read_recommendation(folder: Path) -> Recommendation:
    """Returns what `choose` wrote."""
    return Recommendation.from_json(json.loads((folder / RECOMMENDATION).read_text(encoding="utf-8")))
