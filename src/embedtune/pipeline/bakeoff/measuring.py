"""Asks a system the val queries and the guards, and at the very end the test queries; times a query."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from embedtune import progress
from embedtune.artifact import write_text_whole
from embedtune.data.general import general_guards
from embedtune.errors import EmbedtuneError, StorageError
from embedtune.evaluate.evaluation import Evaluation, evaluate, read_evaluation, write_evaluation
from embedtune.evaluate.guards import guard_split
from embedtune.models.encoder import Encoder, EncoderOptions, load_encoder
from embedtune.pipeline.bakeoff.making import Made
from embedtune.pipeline.bakeoff.options import MeasureOptions
from embedtune.pipeline.bakeoff.searching import Searcher, index_bytes, model_bytes, query_milliseconds
from embedtune.pipeline.bakeoff.systems import BASE, SYSTEMS
from embedtune.pipeline.bakeoff.words import say
from embedtune.pipeline.rates import documents_per_second
from embedtune.pipeline.step_kind import StepJob, StepResult
from embedtune.report.content import SystemCosts, Words
from embedtune.search.reranker_options import RerankerOptions
from embedtune.search.reranking import Reranker, load_reranker

__all__ = ["MEASURED", "SHOWN", "TEST", "Measured", "measure", "probe_speed", "show_test"]

MEASURED, SHOWN = "measured", "shown"
_COSTS, _FILE, _VAL, _GUARDS, TEST = "costs.json", "measured.json", "val", "guards", "test"


@dataclass(frozen=True)
class Measured:
    """A system before test: its val evaluation, guards by name; `left_out` says why there is nothing."""

    left_out: Words | None
    folder: Path
    guard_names: tuple[str, ...] = ()
    documents_to_encode: int = 0

    @classmethod
    def read(cls, folder: Path | str) -> Measured:
        """Returns what a step left in its folder."""
        content = json.loads((Path(folder) / _FILE).read_text(encoding="utf-8"))
        if content["left_out"] is not None:
            return cls(Words(*content["left_out"]), Path(folder))
        return cls(None, Path(folder), tuple(content["guards"]), content["documents_to_encode"])

    def costs(self) -> SystemCosts:
        """Returns what it costs; times aren't in the folder itself, so that measuring them again changes nothing."""
        return SystemCosts(**json.loads((self.folder.parent / _COSTS).read_text(encoding="utf-8")))

    def val(self) -> Evaluation:
        """Returns the evaluation on val."""
        return read_evaluation(self.folder / _VAL)

    def guards(self) -> dict[str, Evaluation]:
        """Returns the evaluations of the guards, in their order."""
        return {name: read_evaluation(self.guard_folder(name)) for name in self.guard_names}

    def guard_folder(self, name: str) -> Path:
        """Returns where a guard's evaluation lies; a guard's name is no safe name of a folder."""
        return self.folder / _GUARDS / str(self.guard_names.index(name))


def probe_speed(job: StepJob) -> StepResult:
    """Measures how many documents a second the base encodes, which tells how many a validation may have."""
    encoder = job.encoder()
    assert encoder is not None  # noqa: S101 - a bake-off has one
    with progress.hidden():
        speed = documents_per_second(encoder, job.dataset().corpus)
    write_text_whole(job.folder / "speed.json", json.dumps({"documents_per_second": round(speed, 2)}) + "\n")
    return StepResult([f"{speed:.1f} documents a second"])


def measure(job: StepJob, system: str) -> StepResult:
    """Measures a system on val and the guards, and what it costs; or notes why it can't be."""
    place = job.folder / MEASURED
    made = None if job.inputs.get("made") is None else Made.read(job.inputs["made"])
    if made is not None and made.left_out is not None:
        return _without(place, made.left_out)
    if system == "rerank" and job.inputs.get("reranker") is None:
        return _without(place, say("out.no_reranker"))
    try:
        return _measured(job, system, place, made)
    except StorageError:
        raise
    except EmbedtuneError as error:
        if system == BASE:
            raise
        return _without(place, Words(error.found, error.found))


def show_test(job: StepJob, system: str) -> StepResult:
    """Asks a system the test queries, which nothing before has seen."""
    measured = Measured.read(job.inputs["measured"])
    if measured.left_out is not None:
        write_text_whole(job.folder / SHOWN / _FILE, "{}\n")
        return StepResult()
    made = None if job.inputs.get("made") is None else Made.read(job.inputs["made"])
    data, searcher = job.dataset(), _searcher(job, system, made)
    evaluation = evaluate(data, searcher.over(data.corpus), split="test")
    _keep(evaluation, job.folder / SHOWN / TEST, _made_from(job, system, "test", searcher, made))
    return StepResult([_mean(evaluation, "test")])


def _measured(job: StepJob, system: str, place: Path, made: Made | None) -> StepResult:
    data, searcher = job.dataset(), _searcher(job, system, made)
    retriever = searcher.over(data.corpus)
    evaluation = evaluate(data, retriever, split="val")
    _keep(evaluation, place / _VAL, _made_from(job, system, "val", searcher, made))
    guards = job.guards()
    if not guards and system != "rerank":  # which takes long, and the general set can't stand against it
        guards = general_guards(data)
    for number, (name, guard) in enumerate(guards.items()):
        split = guard_split(guard, "val")
        asked = evaluate(guard, searcher.over(guard.corpus), split=split)
        made_from = {"dataset": name, "split": split, "retriever": system}
        write_evaluation(asked, place / _GUARDS / str(number), made_from, overwrite=True)
    index, model = index_bytes(retriever), _model_bytes(job, system, made)
    documents = len(data.corpus) if SYSTEMS[system].replaces_model else 0
    costs = {
        "train_seconds": 0.0 if made is None else made.seconds,
        "documents_to_encode": documents,
        "query_milliseconds": query_milliseconds(retriever, data, "val", job.of(MeasureOptions).timed_queries),
        "size_bytes": None if model is None else index + model,
    }
    write_text_whole(job.folder / _COSTS, json.dumps(costs, indent=2) + "\n")
    _write(place, {"left_out": None, "guards": list(guards), "documents_to_encode": documents})
    return StepResult([f"{_mean(evaluation, 'val')}, {costs['query_milliseconds']:.1f} ms a query"])


def _searcher(job: StepJob, system: str, made: Made | None) -> Searcher:
    def encoder() -> Encoder:
        if made is not None and made.model is not None:
            return load_encoder(made.model, job.of(EncoderOptions))
        base = job.encoder()
        assert base is not None  # noqa: S101 - a bake-off has one
        return base

    def reranker() -> Reranker:
        return load_reranker(job.inputs["reranker"], job.of(RerankerOptions))

    loaded = partial(_once, {}, "encoder", encoder)
    return Searcher(
        system,
        loaded,
        job.workshop.cache,
        partial(_once, {}, "reranker", reranker),
        job.of(MeasureOptions).rerank_depth,
    )


def _once(kept: dict[str, Any], name: str, load: Any) -> Any:
    """Returns what `load` gives, loaded when it is asked for the first time."""
    if name not in kept:
        kept[name] = load()
    return kept[name]


def _model_bytes(job: StepJob, system: str, made: Made | None) -> int | None:
    """Returns the bytes of all weights that a query passes through; BM25 has none."""
    if system == "bm25":
        return 0
    names = [str(made.model) if made is not None and made.model is not None else job.inputs["encoder"]]
    names += [job.inputs["reranker"]] if system == "rerank" else []
    sizes = [model_bytes(name) for name in names]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def _made_from(job: StepJob, system: str, split: str, searcher: Searcher, made: Made | None) -> dict[str, Any]:
    """Returns what the manifest of an evaluation says, as embedtune eval does."""
    content: dict[str, Any] = {"dataset": job.inputs["data"], "split": split, "retriever": system}
    if system == "bm25":
        return content
    encoder = searcher.encoder()
    prompts = {"query": encoder.prompt("query"), "document": encoder.prompt("document")}
    name = job.inputs["encoder"] if made is None else str(made.model)
    return content | {"encoder": name, "encoder_key": encoder.cache_key, "prompts": prompts}


def _keep(evaluation: Evaluation, folder: Path, made_from: Mapping[str, Any]) -> None:
    write_evaluation(evaluation, folder, made_from, overwrite=True)


def _mean(evaluation: Evaluation, split: str) -> str:
    return f"{split} ndcg_at_10 {evaluation.scores.mean('ndcg_at_10'):.4f}"


def _without(place: Path, why: Words) -> StepResult:
    _write(place, {"left_out": list(why)})
    return StepResult([f"left out: {why.en}"])


def _write(place: Path, content: Mapping[str, Any]) -> None:
    write_text_whole(place / _FILE, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
