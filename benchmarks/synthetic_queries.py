"""Do the filters find wrong pairs, and does training on queries made by rules help?

    python benchmarks/synthetic_queries.py planted COLLECTIONS
    python benchmarks/synthetic_queries.py trained COLLECTIONS --out RUNS --chinese-encoder FOLDER [--only NAME]

`planted`: every query of a split also gets a document that isn't relevant, once drawn from the whole corpus, once
from the first ten that BM25 or the encoder finds; how many of either, and of the real pairs, does round-trip drop?
`trained`: the base model against the model trained on as many made queries, filtered and not, on people's queries.
What is done is in RUNS and isn't done again. Both write their part of synthetic_queries.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from embedtune import (
    EmbeddingCache,
    FilterChoice,
    FilterModels,
    GenerateOptions,
    RetrievalDataset,
    Scores,
    TrainingSet,
    TrainOptions,
    compare,
    evaluate,
    filter_queries,
    generate_queries,
    load_encoder,
    make_retriever,
    progress,
    train,
)
from embedtune.artifact import provenance, write_text_whole
from embedtune.data.dataset import Qrels
from embedtune.data.json_format import read_qrels
from embedtune.evaluate.evaluation import Evaluation, read_evaluation, write_evaluation
from embedtune.synthesize.filters.round_trip import RoundTripOptions

RESULTS = Path(__file__).with_suffix(".json")
PLANTED = {"scifact": ("bm25", "dense"), "cmrc2018": ("bm25",)}
DEPTHS = (1, 3, 10, 50, 100, 200)
HARD_DEPTH = 10
SEEDS = (42, 43, 44)
ARMS = ("all", "filtered")
HELD_OUT = 100
MEASURE = "ndcg_at_10"


class Trial(NamedTuple):
    """A collection, its encoder (None: the Chinese one that is given), and the settings, chosen on val alone."""

    encoder: str | None
    split: str
    documents: int
    pairs: int
    learning_rate: float
    scale: float


TRIALS = {
    "cranfield": Trial("minilm", "all", 400, 512, 5e-5, 20.0),
    "cmrc2018": Trial(None, "test", 400, 768, 5e-5, 20.0),
    "toyhom-med-zh": Trial(None, "test", 400, 768, 5e-5, 20.0),
    "scifact": Trial("minilm", "test", 400, 512, 5e-5, 20.0),
}


def planted_pairs(
    dataset: RetrievalDataset, split: str, rankings: Sequence[Mapping[str, Sequence[str]]]
) -> Iterator[tuple[str, RetrievalDataset]]:
    """Yields kind → the dataset with one document a query of the split: a real one, or a wrong one of that kind."""
    generator = random.Random(SEEDS[0])
    corpus = list(dataset.corpus)
    query_ids = [query_id for query_id in dataset.split_query_ids(split) if dataset.positives(query_id)]
    labels: dict[str, dict[str, list[str]]] = {"good": {}, "random": {}, "hard": {}}
    for query_id in query_ids:
        relevant = dataset.positives(query_id)
        found = dict.fromkeys(document_id for ranking in rankings for document_id in ranking[query_id])
        labels["good"][query_id] = relevant[:1]
        labels["random"][query_id] = [generator.choice([d for d in corpus if d not in relevant])]
        labels["hard"][query_id] = [generator.choice([d for d in found if d not in relevant])]
    for kind, documents in labels.items():
        yield kind, replace(dataset, relevant_docs=documents, queries_split={split: query_ids})


def planted(collections: Path, name: str, cache: EmbeddingCache) -> dict[str, Any]:
    """Returns split → who has to find a document → among how many → share dropped of each kind of pair."""
    systems = PLANTED[name]
    dataset = RetrievalDataset.read(collections / name / "dataset.json")
    models = FilterModels(encoder=load_encoder("minilm") if "dense" in systems else None, cache=cache)
    rules = [*systems, "either", "both"] if len(systems) > 1 else list(systems)
    results: dict[str, Any] = {}
    for split in ("train", "test"):
        queries = {query_id: dataset.queries[query_id] for query_id in dataset.split_query_ids(split)}
        retrievers = [make_retriever(system, dataset.corpus, models.encoder, cache) for system in systems]
        runs = [retriever.retrieve(queries, HARD_DEPTH) for retriever in retrievers]
        rankings = [{query_id: run.document_ids(query_id) for query_id in queries} for run in runs]
        for kind, pairs in planted_pairs(dataset, split, rankings):
            for rule in rules:
                for depth in DEPTHS:
                    place = results.setdefault(split, {}).setdefault(rule, {}).setdefault(str(depth), {})
                    place[kind] = round(_dropped(pairs, split, rule, depth, models), 4)
                print(
                    name,
                    split,
                    kind,
                    rule,
                    {d: results[split][rule][d][kind] for d in results[split][rule]},
                    flush=True,
                )
    return results | provenance()


def _dropped(pairs: RetrievalDataset, split: str, rule: str, depth: int, models: FilterModels) -> float:
    options = RoundTripOptions(found_by=rule, round_trip_top_k=depth)
    report = filter_queries(pairs, {"round-trip": options}, choice=FilterChoice(split=split), models=models)
    return len(report.dropped) / report.before


class Arms(NamedTuple):
    """The made queries that each arm is trained on, and those that choose the checkpoint of both."""

    dataset: RetrievalDataset
    query_ids: dict[str, list[str]]
    counts: dict[str, int]


def make_arms(dataset: RetrievalDataset, trial: Trial, seed: int) -> Arms:
    """Returns equally many made queries for each arm, drawn from the same ones before and after the filters."""
    bare = RetrievalDataset({}, dataset.corpus, {}, extra=dataset.extra)
    options = GenerateOptions(documents=trial.documents, per_document=3, seed=seed)
    made = generate_queries(bare, "rules", options=options).dataset
    report = filter_queries(made)
    generator = random.Random(seed)
    drawn = generator.sample(made.queries_split["train"], len(made.queries))
    val, rest = drawn[:HELD_OUT], drawn[HELD_OUT:]
    kept = [query_id for query_id in rest if query_id not in report.dropped]
    count = min(trial.pairs, len(kept))
    counts = {"made": len(made.queries), "dropped": len(report.dropped), "pairs": count}
    counts |= {f"{step.name} {code}": number for step in report.steps for code, number in step.codes().items()}
    whole = replace(made, queries_split={"val": val})
    return Arms(whole, {"all": rest[:count], "filtered": kept[:count]}, counts)


class Bench:
    """One collection's trial; every evaluation is kept in a folder and not made again."""

    def __init__(self, name: str, collections: Path, out: Path, chinese_encoder: str | None) -> None:
        self.name = name
        self.trial = TRIALS[name]
        self.out = out
        self.cache = EmbeddingCache(out / "vectors")
        self.encoder = self.trial.encoder or chinese_encoder
        if self.encoder is None:
            raise SystemExit(f"{name} needs --chinese-encoder")
        self.dataset = RetrievalDataset.read(collections / name / "dataset.json")
        graded = collections / name / "qrels.json"
        self.qrels: Qrels | None = read_qrels(graded) if graded.exists() else None

    def evaluation(self, label: str, encoder: str) -> Evaluation:
        """Returns the evaluation of an encoder on people's queries."""
        folder = self.out / f"{self.name}-{label}"
        if not folder.exists():
            retriever = make_retriever("dense", self.dataset.corpus, load_encoder(encoder), self.cache)
            found = evaluate(self.dataset, retriever, split=self.trial.split, qrels=self.qrels)
            write_evaluation(found, folder, {"encoder": encoder, "trial": self.trial._asdict()})
        return read_evaluation(folder)

    def tuned(self, arms: Arms, arm: str, seed: int) -> Evaluation:
        """Returns the evaluation of the model trained on one arm's queries."""
        folder = self.out / "models" / f"{self.name}-{arm}-{seed}"
        if not folder.exists():
            splits = {"train": arms.query_ids[arm], **arms.dataset.queries_split}
            training_set = TrainingSet.build(replace(arms.dataset, queries_split=splits), "train")
            options = TrainOptions(
                epochs=1,
                learning_rate=self.trial.learning_rate,
                scale=self.trial.scale,
                validations=1,
                val_max_documents=2 * HELD_OUT,
                seed=seed,
            )
            started = time.perf_counter()
            result = train(training_set, str(self.encoder), folder, options=options, cache=self.cache)
            seconds = time.perf_counter() - started
            print(f"{self.name} {arm} {seed}: step {result.chosen.step}, {seconds:.0f} s", flush=True)
        return self.evaluation(f"{arm}-{seed}", str(folder))

    def run(self) -> None:
        """Trains the arms seed by seed and writes the results after each seed."""
        base = self.evaluation("base", str(self.encoder))
        bm25 = evaluate(
            self.dataset, make_retriever("bm25", self.dataset.corpus), split=self.trial.split, qrels=self.qrels
        )
        tuned: dict[str, list[Evaluation]] = {arm: [] for arm in ARMS}
        counts = {}
        for seed in SEEDS:
            arms = make_arms(self.dataset, self.trial, seed)
            counts[str(seed)] = arms.counts
            for arm in ARMS:
                tuned[arm].append(self.tuned(arms, arm, seed))
            save("trained", self.name, self._summary(base, bm25, tuned, counts))

    def _summary(
        self, base: Evaluation, bm25: Evaluation, tuned: dict[str, list[Evaluation]], counts: dict[str, Any]
    ) -> dict[str, Any]:
        sides = {"base": base} | {arm: mean_of(evaluations) for arm, evaluations in tuned.items()}
        return {
            "trial": self.trial._asdict(),
            "queries": counts,
            "bm25": bm25.scores.means()[MEASURE],
            "base": base.scores.means(),
            "seeds": {
                arm: [difference(base, evaluation) for evaluation in evaluations] for arm, evaluations in tuned.items()
            },
            "mean of seeds": {f"{b} - {a}": difference(sides[a], sides[b]) for a, b in combinations(sides, 2)},
        } | provenance()


def mean_of(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Returns an evaluation whose per-query scores are the means over the seeds."""
    first = evaluations[0]
    values = {
        measure: np.mean([evaluation.scores.values[measure] for evaluation in evaluations], axis=0)
        for measure in first.scores.values
    }
    return replace(first, scores=Scores(first.scores.query_ids, values, first.scores.left_out))


def difference(a: Evaluation, b: Evaluation) -> dict[str, Any]:
    """Returns B minus A in the measure, with its interval and p."""
    found = compare(a, b).main
    return {
        "a": round(found.mean_a, 5),
        "b": round(found.mean_b, 5),
        "difference": round(found.mean, 5),
        "interval": [round(end, 5) for end in found.interval],
        "p": round(found.p, 5),
    }


def save(part: str, name: str, content: Any) -> None:
    """Puts one part of the results into the file and leaves the others as they are."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    results.setdefault(part, {})[name] = content
    write_text_whole(RESULTS, json.dumps(results, ensure_ascii=False, indent=1) + "\n")


def main() -> None:
    """Runs one of the two experiments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=("planted", "trained"))
    parser.add_argument("collections", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/synthetic-queries"))
    parser.add_argument("--chinese-encoder")
    parser.add_argument("--only", choices=sorted({*TRIALS, *PLANTED}))
    given = parser.parse_args()
    if given.experiment == "planted":
        for name in [given.only] if given.only else PLANTED:
            save("planted", name, planted(given.collections, name, EmbeddingCache(given.out / "vectors")))
    else:
        for name in [given.only] if given.only else TRIALS:
            Bench(name, given.collections, given.out, given.chinese_encoder).run()


if __name__ == "__main__":
    with progress.shown():
        main()
