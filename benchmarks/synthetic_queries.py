"""Do the filters find wrong pairs, and does training on queries made by rules help?

    python benchmarks/synthetic_queries.py planted COLLECTIONS
    python benchmarks/synthetic_queries.py trained COLLECTIONS --out RUNS --chinese-encoder FOLDER [--only NAME]

`planted`: every query of a split also gets a document that isn't relevant, once drawn from the whole corpus, once
from the first ten that BM25 or the encoder finds; how many of either, and of the real pairs, does round-trip drop?
`trained`: the base model against the model trained on as many made queries, filtered and not, on people's queries.
The learning rate is chosen on val; the scores are those of train and test, whose queries no model has seen.
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

from embedtune import (
    EmbeddingCache,
    FilterModels,
    GenerateOptions,
    RetrievalDataset,
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
from embedtune.synthesize.filters.round_trip import RoundTripOptions, judge
from embedtune.synthesize.material import Material
from measuring import mean_of

RESULTS = Path(__file__).with_suffix(".json")
PLANTED = {"scifact": ("bm25", "dense"), "cmrc2018": ("bm25",)}
DEPTHS = (1, 3, 10, 50, 100, 200)
HARD_DEPTH = 10
SEEDS = (42, 43, 44)
ARMS = ("all", "filtered")
HELD_OUT = 100
MEASURE = "ndcg_at_10"


class Trial(NamedTuple):
    """A collection's encoder (None: the Chinese one given), how much is made of it, and what is tried on val."""

    encoder: str | None
    documents: int
    pairs: int
    learning_rates: tuple[float, ...]


TRIALS = {
    "xquad-en": Trial("minilm", 240, 384, (1e-5, 5e-5)),
    "cmrc2018": Trial(None, 400, 768, (5e-5, 2e-4)),
    "toyhom-med-zh": Trial(None, 400, 768, (5e-5, 2e-4)),
}
PEOPLE = "people"
"""The queries of train and test, all of them people's: no model is trained on them, and none chooses anything."""


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


def planted(collections: Path, name: str, split: str, cache: EmbeddingCache) -> dict[str, Any]:
    """Returns who has to find a document → among how many → share dropped of each kind of pair."""
    systems = PLANTED[name]
    dataset = RetrievalDataset.read(collections / name / "dataset.json")
    models = FilterModels(encoder=load_encoder("minilm") if "dense" in systems else None, cache=cache)
    queries = {query_id: dataset.queries[query_id] for query_id in dataset.split_query_ids(split)}
    retrievers = [make_retriever(system, dataset.corpus, models.encoder, cache) for system in systems]
    runs = [retriever.retrieve(queries, HARD_DEPTH) for retriever in retrievers]
    rankings = [{query_id: run.document_ids(query_id) for query_id in queries} for run in runs]
    results: dict[str, Any] = {}
    for kind, pairs in planted_pairs(dataset, split, rankings):
        material = Material(pairs, pairs.queries_split[split], models)
        for rule in [*systems, "either", "both"] if len(systems) > 1 else systems:
            for depth in DEPTHS:
                dropped = judge(material, RoundTripOptions(found_by=rule, round_trip_top_k=depth)).dropped
                place = results.setdefault(rule, {}).setdefault(str(depth), {})
                place[kind] = round(len(dropped) / len(material.queries), 4)
            print(name, split, kind, rule, {d: shares[kind] for d, shares in results[rule].items()}, flush=True)
    return results


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
        dataset = RetrievalDataset.read(collections / name / "dataset.json")
        people = [*dataset.queries_split["train"], *dataset.queries_split["test"]]
        self.dataset = replace(dataset, queries_split=dict(dataset.queries_split) | {PEOPLE: people})
        graded = collections / name / "qrels.json"
        self.qrels: Qrels | None = read_qrels(graded) if graded.exists() else None

    def evaluation(self, label: str, split: str, encoder: str) -> Evaluation:
        """Returns the evaluation of an encoder on people's queries of a split."""
        folder = self.out / f"{self.name}-{label}-{split}"
        if not folder.exists():
            retriever = make_retriever("dense", self.dataset.corpus, load_encoder(encoder), self.cache)
            found = evaluate(self.dataset, retriever, split=split, qrels=self.qrels)
            write_evaluation(found, folder, {"encoder": encoder, "trial": self.trial._asdict()})
        return read_evaluation(folder)

    def tuned(self, arms: Arms, arm: str, seed: int, learning_rate: float, split: str) -> Evaluation:
        """Returns the evaluation of the model trained on one arm's queries."""
        label = f"{arm}-{seed}-{learning_rate:g}"
        folder = self.out / "models" / f"{self.name}-{label}"
        if not folder.exists():
            splits = {"train": arms.query_ids[arm], **arms.dataset.queries_split}
            training_set = TrainingSet.build(replace(arms.dataset, queries_split=splits), "train")
            options = TrainOptions(
                epochs=1,
                batch_size=32,
                scale=20.0,
                learning_rate=learning_rate,
                validations=1,
                val_max_documents=2 * HELD_OUT,
                seed=seed,
            )
            started = time.perf_counter()
            result = train(training_set, str(self.encoder), folder, options=options, cache=self.cache)
            seconds = time.perf_counter() - started
            print(f"{self.name} {label}: step {result.chosen.step}, {seconds:.0f} s", flush=True)
        return self.evaluation(label, split, str(folder))

    def run(self) -> None:
        """Chooses the learning rate on val, then trains the arms seed by seed and writes the results after each."""
        first = make_arms(self.dataset, self.trial, SEEDS[0])
        on_val = {rate: self.tuned(first, "all", SEEDS[0], rate, "val") for rate in self.trial.learning_rates}
        rate = max(on_val, key=lambda rate: on_val[rate].scores.mean(MEASURE))
        base_on_val = self.evaluation("base", "val", str(self.encoder))
        choice = {f"{tried:g}": difference(base_on_val, found) for tried, found in on_val.items()}
        print(f"{self.name}: learning rate {rate:g} of {choice}", flush=True)
        base = self.evaluation("base", PEOPLE, str(self.encoder))
        bm25 = evaluate(self.dataset, make_retriever("bm25", self.dataset.corpus), split=PEOPLE, qrels=self.qrels)
        tuned: dict[str, list[Evaluation]] = {arm: [] for arm in ARMS}
        counts = {}
        for seed in SEEDS:
            arms = make_arms(self.dataset, self.trial, seed)
            counts[str(seed)] = arms.counts
            for arm in ARMS:
                tuned[arm].append(self.tuned(arms, arm, seed, rate, PEOPLE))
            found = {"on val": choice, "learning rate": rate} | self._summary(base, bm25, tuned, counts)
            save("trained", self.name, found)

    def _summary(
        self, base: Evaluation, bm25: Evaluation, tuned: dict[str, list[Evaluation]], counts: dict[str, Any]
    ) -> dict[str, Any]:
        sides = {"base": base} | {arm: mean_of(evaluations) for arm, evaluations in tuned.items()}
        return {
            "trial": self.trial._asdict(),
            "queries": counts,
            "bm25": bm25.scores.means()[MEASURE],
            "base": base.scores.means()[MEASURE],
            "seeds": {
                arm: [difference(base, evaluation) for evaluation in evaluations] for arm, evaluations in tuned.items()
            },
            "mean of seeds": {f"{b} - {a}": difference(sides[a], sides[b]) for a, b in combinations(sides, 2)},
        } | provenance()


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
        cache = EmbeddingCache(given.out / "vectors")
        for name in [given.only] if given.only else PLANTED:
            for split in ("test", "train"):
                save("planted", f"{name} {split}", planted(given.collections, name, split, cache) | provenance())
    else:
        for name in [given.only] if given.only else TRIALS:
            Bench(name, given.collections, given.out, given.chinese_encoder).run()


if __name__ == "__main__":
    with progress.shown():
        main()
