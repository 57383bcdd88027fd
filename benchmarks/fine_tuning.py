"""Does fine-tuning gain, and what does it lose elsewhere: the case study's recipe, ours, ours merged?

python benchmarks/fine_tuning.py WORK COLLECTIONS CHINESE_ENCODER [--pair english] [--seeds 42] [--rows recipe ours]

Two pairs of collections; each is trained on, and both of the pair are measured on their test split, and half of the
general set in the pair's language. Rows: the case study's recipe; ours, given the other collection as a guard, whose
texts are held; ours merged with the base; and ours with nothing held. COLLECTIONS is a folder of folders with
dataset.json, CHINESE_ENCODER what benchmarks/chinese_encoder.py makes with --steps 0. What is finished in WORK isn't
done again. Writes fine_tuning.json beside this file and the tables in the docs (fine_tuning_table.py).
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from embedtune import progress
from embedtune.artifact import write_text_whole
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.general import general_half
from embedtune.data.replay import ReplayOptions, with_guards_kept
from embedtune.data.training_set import TrainingSet
from embedtune.evaluate.evaluation import Evaluation, evaluate, read_evaluation, write_evaluation
from embedtune.evaluate.gate import gate
from embedtune.merge.choosing import ChooseOptions, choose_weight
from embedtune.merge.merging import merge
from embedtune.mine.mining import mine_negatives
from embedtune.mine.options import MineOptions
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.search.dense import DenseRetriever
from embedtune.train.training import TrainOptions, train
from fine_tuning_settings import (
    BF16,
    CHOOSING_QUERIES,
    DOCUMENTS,
    EPOCHS,
    GRID,
    GUARD_QUERIES,
    GUARD_SHARE,
    MAX_LENGTH,
    NEGATIVES,
    PAIRS,
    SAME_TIME_QUERIES,
    SEEDS,
    VAL_DOCUMENTS,
    VALIDATIONS,
    cut,
    settings,
)
from fine_tuning_table import publish

sys.path.append(str(Path(__file__).parents[1] / "recipes"))
from case_study_training import FIRST_RUN, SECOND_RUN, CaseStudy, fine_tune, mine_as_published

ROWS = ("recipe", "ours", "merged")
MORE = ("ours, nothing held",)
SAME_TIME = ("recipe, accumulation 2", "ours, same time")
NEEDS = {"merged": ("ours",)}
GENERAL = "general"
SAME_TIME_ON = "scifact"


class Story:
    """Training on one collection: the models of each row and seed, and what they score on all three sets."""

    def __init__(self, pair: str, trained_on: str, encoder: str, words: argparse.Namespace) -> None:
        self.pair, self.trained_on, self.encoder = PAIRS[pair], trained_on, encoder
        self.other = next(name for name in self.pair.collections if name != trained_on)
        self.words, self.folder = words, words.work / trained_on
        self.cache = EmbeddingCache(words.work / "cache")
        self.options = EncoderOptions(max_length=MAX_LENGTH)
        second = replace(SECOND_RUN, negatives=NEGATIVES)
        as_published = FIRST_RUN if trained_on == self.pair.collections[0] else second
        self.settings = replace(as_published, bf16=BF16)

    @cached_property
    def datasets(self) -> dict[str, RetrievalDataset]:
        """Returns what is measured, the collection trained on first."""
        read = {name: self._cut(name) for name in (self.trained_on, self.other)}
        return read | {GENERAL: general_half(self.pair.language)}

    def _cut(self, name: str, **more: int) -> RetrievalDataset:
        whole = RetrievalDataset.read(self.words.collections / name / "dataset.json")
        return cut(whole, self.pair.train_queries, self.words.documents, **more)

    @property
    def dataset(self) -> RetrievalDataset:
        """Returns the collection that is trained on."""
        return self.datasets[self.trained_on]

    def measure(self, model: str, row: str) -> dict[str, Evaluation]:
        """Returns the test evaluation on each dataset; made once."""
        found = {}
        for name, dataset in self.datasets.items():
            folder = self.folder / "runs" / row / name
            if not folder.exists():
                retriever = DenseRetriever(load_encoder(model, self.options), dataset.corpus, self.cache)
                write_evaluation(evaluate(dataset, retriever, split="test"), folder, {"model": model})
            found[name] = read_evaluation(folder)
        return found

    def base(self) -> dict[str, Evaluation]:
        """Returns the base model's evaluations."""
        return self.measure(self.encoder, "base")

    def run(self, row: str, seed: int) -> dict[str, Any]:
        """Returns how a row's model came about and what the gate says of it; made once, its evaluations too."""
        path = self.folder / "facts" / f"{row}-{seed}.json"
        if not path.exists():
            model = self.folder / "models" / f"{row}-{seed}"
            for broken_off in (model, self.folder / "runs" / f"{row}-{seed}"):
                shutil.rmtree(broken_off, ignore_errors=True)
            model.parent.mkdir(parents=True, exist_ok=True)
            for needed in NEEDS.get(row, ()):
                self.run(needed, seed)
            self.base()  # its vectors are in the cache for all rows alike
            spent = time.process_time()
            made = self._makers()[row](model, seed)
            made["processor_seconds"] = time.process_time() - spent + made.get("processor_seconds", 0.0)
            self.measure(made["model"], f"{row}-{seed}")
            guards = {name: self.datasets[name] for name in (self.other, GENERAL)}
            base, tuned = (load_encoder(name, self.options) for name in (self.encoder, made["model"]))
            verdict = gate(self.dataset, base, tuned, guards=guards, cache=self.cache)
            made["gate"] = {"passed": verdict.passed, "reasons": verdict.reasons}
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text_whole(path, json.dumps(made, ensure_ascii=False, indent=1) + "\n")
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return facts

    def _makers(self) -> dict[str, Callable[[Path, int], dict[str, Any]]]:
        often = replace(self.settings, accumulation=SECOND_RUN.accumulation)
        return {
            "recipe": lambda model, seed: self._recipe(model, seed, self.settings),
            "recipe, accumulation 2": lambda model, seed: self._recipe(model, seed, often),
            "ours": lambda model, seed: self._ours(model, seed, EPOCHS, GUARD_SHARE),
            "ours, nothing held": lambda model, seed: self._ours(model, seed, EPOCHS, 0.0),
            "ours, same time": self._ours_in_the_recipes_time,
            "merged": self._merged,
        }

    def _recipe(self, model: Path, seed: int, settings: CaseStudy) -> dict[str, Any]:
        """Trains as the case study did; the corpus's vectors are in the cache already."""
        started = time.perf_counter()
        train_ids = self.dataset.split_query_ids("train")
        encoder = load_encoder(self.encoder, self.options)
        negatives = mine_as_published(self.dataset, train_ids, encoder, self.cache, seed)
        source = encoder_folder(self.encoder)
        pairs = fine_tune(self.dataset, train_ids, negatives, source, model, settings, max_length=MAX_LENGTH, seed=seed)
        steps = math.ceil(math.ceil(pairs / settings.batch_size) / settings.accumulation)
        return {"model": str(model), "seconds": time.perf_counter() - started, "steps": steps}

    def _guard(self, seed: int) -> RetrievalDataset:
        """Returns the other collection as its owner gives it: half of its train queries are held, the others choose.

        Its test queries aren't in it.
        """
        other = self.datasets[self.other]
        ids = other.split_query_ids("train")
        held = set(random.Random(seed).sample(ids, len(ids) // 2))
        asked = [*(query_id for query_id in ids if query_id not in held), *other.split_query_ids("val")]
        splits = {"train": [query_id for query_id in ids if query_id in held], "val": asked[-GUARD_QUERIES:]}
        return replace(other, queries_split=splits)

    def _ours(
        self,
        model: Path,
        seed: int,
        epochs: int,
        guard_share: float,
        *,
        validations: int = VALIDATIONS,
        dataset: RetrievalDataset | None = None,
    ) -> dict[str, Any]:
        dataset = dataset or self.dataset
        started = time.perf_counter()
        mining = MineOptions(negatives=self.settings.negatives, seed=seed)
        encoder = load_encoder(self.encoder, self.options)
        mined = mine_negatives(dataset, encoder, cache=self.cache, options=mining)
        training_set = TrainingSet.build(dataset, "train", mined.negatives, self.settings.negatives)
        holding = ReplayOptions(guard_share=guard_share)
        result = train(
            with_guards_kept(training_set, {self.other: self._guard(seed)}, holding, seed=seed),
            self.encoder,
            model,
            options=TrainOptions(
                epochs=epochs,
                learning_rate=self.pair.learning_rate,
                validations=validations,
                val_max_documents=VAL_DOCUMENTS,
                seed=seed,
            ),
            encoder_options=self.options,
            cache=self.cache,
        )
        steps = {"steps": result.checkpoints[-1].step, "chosen_step": result.chosen.step, "epochs": epochs}
        return {"model": str(model), "seconds": time.perf_counter() - started} | steps

    def _ours_in_the_recipes_time(self, model: Path, seed: int) -> dict[str, Any]:
        """Trains on fewer queries for one epoch, with nothing held and one validation."""
        splits = {**self.dataset.queries_split, "train": self.dataset.split_query_ids("train")[:SAME_TIME_QUERIES]}
        return self._ours(model, seed, 1, 0.0, validations=1, dataset=replace(self.dataset, queries_split=splits))

    def _merged(self, model: Path, seed: int) -> dict[str, Any]:
        """Merges ours with the base by the weight that val and the guard choose."""
        tuned = self.run("ours", seed)
        if tuned["chosen_step"] == 0:
            return tuned | {"weight": 0.0}
        started = time.perf_counter()
        choice = choose_weight(
            self._cut(self.trained_on, val_queries=CHOOSING_QUERIES),
            self.encoder,
            tuned["model"],
            guards={self.other: self._guard(seed)},
            options=ChooseOptions(grid=GRID, choose_documents=self.words.documents, seed=seed),
            encoder_options=self.options,
            cache=self.cache,
        )
        made = {0.0: self.encoder, 1.0: tuned["model"]}.get(choice.weight)
        if made is None:
            merge(self.encoder, tuned["model"], model, weights=choice.weight, encoder_options=self.options)
            made = str(model)
        seconds = tuned["seconds"] + time.perf_counter() - started
        tried = {
            f"{c.weight:g}": [c.verdict.gain.mean, *(-g.loss for g in c.verdict.guards)] for c in choice.candidates
        }
        return tuned | {"model": made, "seconds": seconds, "weight": choice.weight, "tried": tried}


def encoder_folder(encoder: str) -> str:
    """Returns what sentence-transformers can load for an encoder's name."""
    from embedtune.packaged import MINILM, minilm_folder

    return str(minilm_folder()) if encoder == MINILM else encoder


def arguments() -> argparse.Namespace:
    """Returns the command line's words; `documents` are those of a corpus: the relevant and some more."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("collections", type=Path)
    parser.add_argument("chinese_encoder")
    parser.add_argument("--pair", nargs="+", choices=list(PAIRS), default=list(PAIRS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--rows", nargs="+", choices=[*ROWS, *MORE, *SAME_TIME], default=[*ROWS, *MORE, *SAME_TIME])
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    return parser.parse_args()


def main() -> None:
    """Runs what isn't done yet, seeds first, so that a run that breaks off has whole rows to compare."""
    words = arguments()
    stories = [
        Story(pair, name, "minilm" if pair == "english" else words.chinese_encoder, words)
        for pair in words.pair
        for name in PAIRS[pair].collections
    ]
    for seed in words.seeds:
        for story in stories:
            for row in words.rows:
                if row not in SAME_TIME or story.trained_on == SAME_TIME_ON:
                    facts = story.run(row, seed)
                    progress.say(f"{story.trained_on}, {row}, seed {seed}: {facts['gate']}, {facts['seconds']:.0f} s")
                    publish(settings(words.documents), stories)


if __name__ == "__main__":
    with progress.shown():
        main()
