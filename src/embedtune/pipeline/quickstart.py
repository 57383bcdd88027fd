"""The main job end to end, on text that is on every machine."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from embedtune import progress
from embedtune.artifact import provenance, write_text_whole
from embedtune.data.checks import check_dataset
from embedtune.data.converters.docstrings import DocstringOptions, convert
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.general import general_guards
from embedtune.data.training_set import TrainingSet
from embedtune.errors import DataError
from embedtune.evaluate.comparison import Comparison, compare
from embedtune.evaluate.evaluation import evaluate, read_evaluation, write_evaluation
from embedtune.evaluate.guard_options import GateOptions
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, EncoderOptions, load_encoder
from embedtune.options import Options
from embedtune.pipeline.steps import Steps

__all__ = ["QuickstartOptions", "QuickstartSummary", "quickstart"]

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
    """What summary.json holds, and the comparison it was made from."""

    content: dict[str, Any]
    comparison: Comparison
    reused: list[str]


def quickstart(
    folder: Path,
    options: QuickstartOptions,
    docstring_options: DocstringOptions,
    encoder_options: EncoderOptions,
    cache: EmbeddingCache,
) -> QuickstartSummary:
    """Builds a dataset from docstrings, tunes the encoder on it, and measures what that gave.

    Everything goes to `folder`; steps that are done and up to date are reused. Test queries are
    only scored at the end, with BM25, the base model and the tuned one.
    """
    progress.say(f"note: {_NOTICE}")
    return _Quickstart(folder, options, docstring_options, encoder_options, cache).run()


class _Quickstart:
    def __init__(
        self,
        folder: Path,
        options: QuickstartOptions,
        docstring_options: DocstringOptions,
        encoder_options: EncoderOptions,
        cache: EmbeddingCache,
    ) -> None:
        self.options = options
        self.docstring_options = docstring_options
        self.encoder_options = encoder_options
        self.cache = cache
        self.steps = Steps(folder)
        self.folder = folder
        self._loaded: dict[str, Encoder] = {}

    def run(self) -> QuickstartSummary:
        encoding = {"encoder": self.options.encoder, "options": self.encoder_options.model_dump()}
        training = encoding | {"training": self.options.model_dump()}
        step = self.steps.run
        made_from = {"options": self.docstring_options.model_dump()}
        self.dataset_path = step("dataset", "dataset.json", made_from, (), self._make_dataset)
        step("checks", "checks.json", {}, ("dataset",), self._check)
        bm25 = step("bm25", "bm25", {}, ("dataset",), self._evaluate_bm25)
        base = step("base", "base", encoding, ("checks",), self._evaluate_base)
        self.mined_path = step("negatives", "mined.json", training, ("base",), self._mine)
        self.model_path = step("train", "model", training, ("negatives",), self._train)
        tuned = step("tuned", "tuned", encoding, ("train",), self._evaluate_tuned)
        verdict = step("gate", "gate.json", encoding, ("tuned",), self._gate)
        comparison = compare(read_evaluation(base), read_evaluation(tuned))
        content = {
            "bm25": read_evaluation(bm25).scores.means(),
            "base": read_evaluation(base).scores.means(),
            "tuned": read_evaluation(tuned).scores.means(),
            "difference": {"measure": comparison.measure} | asdict(comparison.main),
            "gate": json.loads(verdict.read_text(encoding="utf-8")),
            "seconds": self.steps.seconds(),
            "model": str(self.model_path),
            "notice": _NOTICE,
        } | provenance()
        write_text_whole(self.folder / "summary.json", json.dumps(content, ensure_ascii=False, indent=2) + "\n")
        return QuickstartSummary(content, comparison, self.steps.reused)

    def _make_dataset(self, path: Path) -> None:
        convert(None, self.docstring_options).write(path)

    def _dataset(self) -> RetrievalDataset:
        return RetrievalDataset.read(self.dataset_path)

    def _encoder(self, name: str) -> Encoder:
        if name not in self._loaded:
            self._loaded[name] = load_encoder(name, self.encoder_options)
        return self._loaded[name]

    def _check(self, path: Path) -> None:
        findings = check_dataset(self._dataset())
        for finding in findings:
            progress.say(f"{finding.level}: {finding.message}")
        errors = [finding.message for finding in findings if finding.level == "error"]
        if errors:
            raise DataError("\n".join(errors), where=str(self.dataset_path))
        text = json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2)
        write_text_whole(path, text + "\n")

    def _evaluate_bm25(self, path: Path) -> None:
        self._evaluate(path, "bm25", None)

    def _evaluate_base(self, path: Path) -> None:
        self._evaluate(path, "dense", self.options.encoder)

    def _evaluate_tuned(self, path: Path) -> None:
        self._evaluate(path, "dense", str(self.model_path))

    def _gate(self, path: Path) -> None:
        """Writes what the gate says of the tuned model; it chooses nothing here."""
        from embedtune.evaluate.gate import gate

        models = [self._encoder(name) for name in (self.options.encoder, str(self.model_path))]
        dataset = self._dataset()
        guards = general_guards(dataset)
        verdict = gate(dataset, *models, guards=guards, options=GateOptions(split="test"), cache=self.cache)
        content = verdict.to_json() | {"lines": verdict.lines()}
        write_text_whole(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")

    def _evaluate(self, path: Path, retriever: str, encoder: str | None) -> None:
        from embedtune.search.retrievers import make_retriever

        dataset = self._dataset()
        loaded = None if encoder is None else self._encoder(encoder)
        evaluation = evaluate(dataset, make_retriever(retriever, dataset.corpus, loaded, self.cache), split="test")
        made_from = {"dataset": str(self.dataset_path), "split": "test", "retriever": retriever, "encoder": encoder}
        write_evaluation(evaluation, path, made_from, overwrite=True)

    def _mine(self, path: Path) -> None:
        from embedtune.mine.mining import mine_negatives
        from embedtune.mine.options import MineOptions
        from embedtune.mine.written import with_negatives

        dataset = self._dataset()
        if not self.options.negatives:
            dataset.write(path)
            return
        report = mine_negatives(
            dataset,
            self._encoder(self.options.encoder),
            cache=self.cache,
            options=MineOptions(negatives=self.options.negatives),
        )
        progress.say(
            f"dropped {report.known_positives_dropped} known and {report.probable_positives_dropped} probable "
            f"positives; {report.queries_without_negatives} queries have no hard negative"
        )
        with_negatives(dataset, report).write(path)

    def _train(self, path: Path) -> None:
        from embedtune.train.training import TrainOptions, train

        mined = RetrievalDataset.read(self.mined_path)
        training_set = TrainingSet.build(mined, "train", mined.negative_docs, self.options.negatives)
        result = train(
            training_set,
            self.options.encoder,
            path,
            options=TrainOptions(
                epochs=self.options.epochs,
                batch_size=self.options.batch_size,
                learning_rate=self.options.learning_rate,
                validations=self.options.validations,
                seed=self.docstring_options.seed,
            ),
            encoder_options=self.encoder_options,
            cache=self.cache,
            overwrite=True,
        )
        if result.chosen.step == 0:
            progress.say("no checkpoint was better on val than the base model: the base model was kept")
