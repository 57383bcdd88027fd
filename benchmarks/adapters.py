"""What do NUDGE, an adapter, LoRA and full fine-tuning give, and cost, on the same data?

python benchmarks/adapters.py COLLECTIONS CHINESE_ENCODER WORK [NAME...]. COLLECTIONS is a folder of folders
with dataset.json, CHINESE_ENCODER what benchmarks/chinese_encoder.py made, WORK a folder whose finished
parts are reused, NAME a collection below. Writes adapters.json beside this file and the tables in
docs/adapters.md.
"""

from __future__ import annotations

import json
import random
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from embedtune import progress
from embedtune.artifact import provenance
from embedtune.data.corpus_sample import sample_corpus
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.splits import SplitOptions, split_dataset
from embedtune.data.training_set import TrainingSet
from embedtune.errors import DataError
from embedtune.evaluate.apart import MOVED, means_apart, queries_about
from embedtune.evaluate.comparison import compare
from embedtune.evaluate.evaluation import Evaluation, evaluate, read_evaluation, write_evaluation
from embedtune.mine.mining import mine_negatives
from embedtune.mine.options import MineOptions
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.moved_documents import MovedDocuments, has_moved_documents
from embedtune.models.tuned import TunedModel
from embedtune.options import Options
from embedtune.search.dense import DenseRetriever
from embedtune.train.methods.adapter import AdapterOptions
from embedtune.train.methods.lora import LoraOptions
from embedtune.train.methods.nudge import NudgeOptions
from embedtune.train.training import TrainOptions, train
from measuring import mean_of

HERE = Path(__file__).parent
TABLES = HERE.parent / "docs" / "adapters.md"
START, END = "<!-- tables: benchmarks/adapters.py -->", "<!-- end of tables -->"
MEASURE = "ndcg_at_10"
SEEDS = (42, 43, 44)
LIGHT: dict[str, Any] = {"epochs": 1, "batch_size": 32, "scale": 20.0, "validations": 1, "val_max_documents": 500}
CHINESE, MINILM = "chinese", "minilm"
LEARNING_RATE = {MINILM: 5e-5, CHINESE: 5e-4}
"""Of full fine-tuning, as in fine_tuning_settings.py; LoRA takes LORA_TIMES as much, which was chosen on nothing."""
LORA_TIMES = 5
WEIGHTS = ("lora", "full")
WEIGHT_QUERIES = 640


@dataclass(frozen=True)
class Collection:
    """What encodes it, how it's cut and divided, and which systems are run.

    Texts are measured up to `max_length` tokens. LoRA and full are trained on the first `train_length` of them and on
    WEIGHT_QUERIES queries, so that they fit the time there was.
    """

    encoder: str
    within_document: bool
    systems: tuple[str, ...]
    source: str = ""
    documents: int | None = None
    max_length: int = 256
    train_length: int = 64
    negatives: int = 4


QUICK = ("nudge-n", "nudge-m", "adapter", "adapter+nudge-n")
COLLECTIONS = {
    "cmrc2018": Collection(CHINESE, True, (*QUICK, *WEIGHTS), max_length=128),
    "scifact": Collection(MINILM, False, QUICK),
    "scifact-cut": Collection(MINILM, False, (*QUICK, *WEIGHTS), "scifact", documents=2000, max_length=64),
    "toyhom-med-zh": Collection(CHINESE, False, (*QUICK, *WEIGHTS), max_length=64),
}


def system_options(system: str, seed: int, encoder: str) -> tuple[str, Options, int | None]:
    """Returns a system's method, its options, and hard negatives where they aren't the collection's."""
    if system == "adapter":
        return "adapter", AdapterOptions(seed=seed), None
    if system == "lora":
        return "lora", LoraOptions(seed=seed, learning_rate=LORA_TIMES * LEARNING_RATE[encoder], **LIGHT), 0
    if system == "full":
        return "full", TrainOptions(seed=seed, learning_rate=LEARNING_RATE[encoder], **LIGHT), 0
    return "nudge", NudgeOptions(variant="m" if system.endswith("-m") else "n"), None


def fewer(dataset: RetrievalDataset) -> RetrievalDataset:
    """Returns the dataset with at most WEIGHT_QUERIES training queries, always the same ones."""
    asked = dataset.queries_split["train"]
    drawn = random.Random(SEEDS[0]).sample(asked, min(WEIGHT_QUERIES, len(asked)))
    return replace(dataset, queries_split=dict(dataset.queries_split) | {"train": drawn})


class Bench:
    """One collection: its data, and the results in its work folder."""

    def __init__(self, name: str, collections: Path, chinese: str, work: Path) -> None:
        self.name, self.setting = name, COLLECTIONS[name]
        self.encoder = chinese if self.setting.encoder == CHINESE else self.setting.encoder
        self.folder = work / name
        self.cache = EmbeddingCache(work / "cache")
        self.options = EncoderOptions(max_length=self.setting.max_length)
        self.dataset = self._prepare(collections / (self.setting.source or name) / "dataset.json")

    def _prepare(self, source: Path) -> RetrievalDataset:
        """Returns the divided dataset with mined negatives; made once."""
        path = self.folder / "dataset.json"
        if not path.exists():
            dataset = RetrievalDataset.read(source)
            corpus = sample_corpus(dataset, list(dataset.queries), self.setting.documents, SEEDS[0])
            dataset = replace(dataset, corpus=dict(corpus))
            if self.setting.within_document:
                dataset = split_dataset(dataset, SplitOptions(by="within-document", val=0.1, test=0.2)).dataset
            options = MineOptions(negatives=self.setting.negatives)
            mined = mine_negatives(dataset, load_encoder(self.encoder, self.options), cache=self.cache, options=options)
            replace(dataset, negative_docs=mined.negatives).write(path)
        return RetrievalDataset.read(path)

    def measure(self, model: str, out: str) -> tuple[Evaluation, int]:
        """Returns the evaluation on test, and how many documents had to be encoded for it."""
        folder = self.folder / "runs" / out
        if not folder.exists():
            before = self.cache.encoded
            retriever = DenseRetriever(load_encoder(model, self.options), self.dataset.corpus, self.cache)
            encoded = self.cache.encoded - before
            write_evaluation(evaluate(self.dataset, retriever, split="test"), folder, {"encoded": encoded})
        manifest = json.loads((folder / "embedtune.json").read_text(encoding="utf-8"))
        return read_evaluation(folder), int(manifest["made_from"]["encoded"])

    def tune(self, system: str, seed: int) -> TunedModel:
        """Returns the tuned model of a system; made once."""
        folder = self.folder / "models" / f"{system}-{seed}"
        if folder.exists():
            return TunedModel.open(folder)
        method, options, negatives = system_options(system.removeprefix("adapter+"), seed, self.setting.encoder)
        encoder = str(self.tune("adapter", seed).folder) if system.startswith("adapter+") else self.encoder
        wanted = self.setting.negatives if negatives is None else negatives
        dataset = self.dataset if method not in WEIGHTS else fewer(self.dataset)
        training_set = TrainingSet.build(dataset, "train", dataset.negative_docs, wanted)
        how: dict[str, Any] = {"method": method, "encoder_options": self.options, "cache": self.cache}
        if method in WEIGHTS:
            how |= {"encoder_options": EncoderOptions(max_length=self.setting.train_length), "cache": None}
        started = time.perf_counter()
        try:
            return train(training_set, encoder, folder, options=options, **how).model
        except DataError as refusal:
            print(f"{self.name} {system}: refused: {refusal}", file=sys.stderr)
            told = options.model_copy(update={"allow_low_coverage": True})
            return train(training_set, encoder, folder, options=told, **how).model
        finally:
            seconds = time.perf_counter() - started
            (self.folder / f"seconds-{system}-{seed}.json").write_text(json.dumps(round(seconds, 1)))

    def row(self, system: str, base: Evaluation) -> dict[str, Any]:
        """Returns a system's line: means over the seeds where it depends on them."""
        seeds = SEEDS[:1] if system.startswith("nudge") else SEEDS
        tuned = [self.tune(system, seed) for seed in seeds]
        measured = [self.measure(str(model.folder), model.folder.name) for model in tuned]
        files = [self.folder / f"seconds-{system}-{seed}.json" for seed in seeds]
        difference = compare(base, mean_of([evaluation for evaluation, _ in measured])).main
        return {
            "system": system,
            "seeds": list(seeds),
            "seconds": [json.loads(path.read_text(encoding="utf-8")) for path in files],
            MEASURE: difference.mean_b,
            "by_seed": [evaluation.scores.mean(MEASURE) for evaluation, _ in measured],
            "gain": difference.mean,
            "interval": difference.interval,
            "p": difference.p,
            "documents_encoded": max(encoded for _, encoded in measured),
            "words": tuned[0].manifest["made_from"].get("words", []),
            "apart": self.apart(tuned[0], base, measured[0][0]),
        }

    def apart(self, model: TunedModel, base: Evaluation, tuned: Evaluation) -> dict[str, Any] | None:
        """Returns the test scores apart for queries whose documents moved, where any did."""
        if not has_moved_documents(str(model.folder)):
            return None
        moved = MovedDocuments.read(model.folder).ids
        inside = queries_about(self.dataset, tuned.scores.query_ids, moved)
        before, after = means_apart(base.scores, inside), means_apart(tuned.scores, inside)
        return {
            name: {"queries": group["queries"]}
            | {when: part[name]["means"].get(MEASURE) for when, part in (("base", before), ("tuned", after))}
            for name, group in after.items()
        }

    def run(self) -> dict[str, Any]:
        """Returns the collection's table."""
        base, _ = self.measure(self.encoder, "base")
        rows = []
        for system in self.setting.systems:
            rows.append(self.row(system, base))
            print(json.dumps({"collection": self.name} | rows[-1], ensure_ascii=False), flush=True)
        return {
            "documents": len(self.dataset.corpus),
            "splits": {split: len(ids) for split, ids in self.dataset.queries_split.items()},
            "encoder": self.setting.encoder,
            "max_length": self.setting.max_length,
            "base": base.scores.mean(MEASURE),
            "rows": rows,
        }


def table(name: str, result: dict[str, Any]) -> str:
    """Returns one collection's table in Markdown."""
    splits = ", ".join(f"{split} {count:,}" for split, count in result["splits"].items())
    lines = [
        f"### {name}: {result['documents']:,} documents; queries: {splits}; encoder: {result['encoder']}, texts up to "
        f"{result.get('max_length', 256)} tokens",
        "",
        "| system | seeds | seconds | test `ndcg_at_10` | gain | 95 % interval | p | documents encoded again |",
        "|---|---|---|---|---|---|---|---|",
        f"| base | | | {result['base']:.4f} | | | | |",
    ]
    for row in result["rows"]:
        low, high = row["interval"]
        seconds = f"{np.mean(row['seconds']):.1f}"
        lines.append(
            f"| {row['system']} | {len(row['seeds'])} | {seconds} | {row[MEASURE]:.4f} | {row['gain']:+.4f} "
            f"| {low:+.4f} … {high:+.4f} | {row['p']:.4f} | {row['documents_encoded']:,} |"
        )
    lines += ["", *(line for row in result["rows"] for line in apart_lines(row))]
    return "\n".join(lines).rstrip() + "\n"


def apart_lines(row: dict[str, Any]) -> list[str]:
    """Returns the scores apart in words, for the first seed; none where nothing moved."""
    groups = {name: group for name, group in (row["apart"] or {}).items() if group["queries"]}
    if MOVED not in groups:
        return []
    told = [
        f"{name} {group['queries']} queries {group['base']:.4f} → {group['tuned']:.4f}"
        for name, group in groups.items()
    ]
    return [f"- {row['system']}, apart: {'; '.join(told)}"]


def main() -> None:
    """Runs the collections named, or all, and writes what is known so far."""
    collections, chinese, work = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    path = HERE / "adapters.json"
    results = json.loads(path.read_text(encoding="utf-8"))["collections"] if path.exists() else {}
    with progress.shown():
        for name in sys.argv[4:] or COLLECTIONS:
            results[name] = Bench(name, collections, chinese, work).run()
    content = {"collections": results, "seeds": SEEDS} | provenance()
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    text = TABLES.read_text(encoding="utf-8")
    head, _, rest = text.partition(START)
    tables = "\n".join(table(name, results[name]) for name in COLLECTIONS if name in results)
    TABLES.write_text(f"{head}{START}\n\n{tables}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
