"""Which negatives train the better model? No negatives, and those of four rules, same budget.

python benchmarks/negatives.py CACHE DATASET ENCODER [DATASET ENCODER]: datasets, each with the encoder to tune on it:
scifact with minilm, cmrc2018 with that of benchmarks/chinese_encoder.py, which hasn't seen it. Every arm trains one
epoch over the same queries in the same batches, with the same number of negatives a query; each seed changes the
batches and what is drawn. Test `ndcg_at_10` over the whole corpus. What is done is in negatives.json beside this file
and isn't done again.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from embedtune import progress
from embedtune.artifact import provenance, write_text_whole
from embedtune.data.corpus_sample import sample_corpus
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.training_set import TrainingSet
from embedtune.evaluate.comparison import compare
from embedtune.evaluate.evaluation import Evaluation, evaluate
from embedtune.evaluate.scores import Scores
from embedtune.mine.mining import mine_negatives
from embedtune.mine.options import MineOptions
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, EncoderOptions, load_encoder
from embedtune.search.dense import DenseRetriever
from embedtune.search.run import Run
from embedtune.train.training import TrainOptions, train

SEEDS = (42, 43, 44)
NEGATIVES = 2
VAL_QUERIES, VAL_DOCUMENTS = 100, 400
QUERIES = {"cmrc2018": 256, "scifact": 256}
DOCUMENTS = {"cmrc2018": 1104, "scifact": 1500}
"""SciFact's corpus is cut to what a query is about and some more; CMRC 2018 is whole."""
MAX_LENGTH = {"cmrc2018": 64, "scifact": 48}
"""In tokens: texts are cut so that thirty trainings fit an hour of one shared core."""
LEARNING_RATE = {"cmrc2018": 2e-4, "scifact": 5e-5}
"""The Chinese encoder was trained from nothing, at 1e-3; a start value, chosen on nothing."""
CHOSEN_BY = {"cmrc2018": "train", "scifact": "val"}
"""The split that chooses between the base and the end. In a first try on cmrc2018 the base won on val, and an arm that
ends as the base says nothing about its negatives; by its own training queries the end always wins."""
MEASURE = "ndcg_at_10"
RESULT = Path(__file__).with_suffix(".json")

Negatives = Mapping[str, list[str]]
Miner = Callable[[RetrievalDataset, Encoder, EmbeddingCache, int], Negatives]


def by(**options: Any) -> Miner:
    """Returns a miner of ours with these options."""

    def mine(dataset: RetrievalDataset, encoder: Encoder, cache: EmbeddingCache, seed: int) -> Negatives:
        return mine_negatives(dataset, encoder, cache=cache, options=MineOptions(seed=seed, **options)).negatives

    return mine


def by_sentence_transformers(
    dataset: RetrievalDataset, encoder: Encoder, cache: EmbeddingCache, seed: int
) -> dict[str, list[str]]:
    """Returns what sentence-transformers' miner finds with its defaults, by the same vectors."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from sentence_transformers.util import mine_hard_negatives
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    static = StaticEmbedding(Tokenizer(WordLevel({"a": 0}, unk_token="a")), embedding_dim=encoder.dim)  # noqa: S106
    model = SentenceTransformer(modules=[static], device="cpu")
    model.encode_document = lambda texts, **_: cache.encode(encoder, list(texts), "document")
    model.encode_query = lambda texts, **_: cache.encode(encoder, list(texts), "query")
    train_ids = dataset.split_query_ids("train")
    pairs = [(dataset.queries[q], dataset.corpus[d]) for q in train_ids for d in dataset.positives(q)]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        mined = mine_hard_negatives(
            Dataset.from_dict({"query": [q for q, _ in pairs], "positive": [d for _, d in pairs]}),
            model,
            corpus=list(dataset.corpus.values()),
            num_negatives=NEGATIVES,
            verbose=False,
        )
    query_id = {dataset.queries[q]: q for q in train_ids}
    document_id = {text: d for d, text in dataset.corpus.items()}
    negatives: dict[str, list[str]] = {q: [] for q in train_ids}
    for query, negative in zip(mined["query"], mined["negative"], strict=True):
        if document_id[negative] not in negatives[query_id[query]]:
            negatives[query_id[query]].append(document_id[negative])
    return negatives


ARMS: dict[str, Miner | None] = {
    "no negatives": None,
    "positive-aware (default)": by(negatives=NEGATIVES),
    "case study: ranks 51-100": by(strategy="rank-window", from_=50, to=100, sample=15),
    "sentence-transformers' defaults": by_sentence_transformers,
    "FlagEmbedding: ranks 2-200": by(strategy="rank-window", from_=2, to=200, sample=15),
}


def smaller(dataset: RetrievalDataset, queries: int, documents: int) -> RetrievalDataset:
    """Returns the dataset with fewer training and val queries and documents, always the same ones."""
    kept = dict(dataset.queries_split)
    for split, most in (("train", queries), ("val", VAL_QUERIES)):
        kept[split] = random.Random(SEEDS[0]).sample(kept[split], min(most, len(kept[split])))
    corpus = sample_corpus(dataset, list(dataset.queries), documents, SEEDS[0])
    return replace(dataset, corpus=dict(corpus), queries_split=kept)


def test(dataset: RetrievalDataset, encoder: Encoder, cache: EmbeddingCache) -> list[float]:
    """Returns the measure of each test query."""
    retriever = DenseRetriever(encoder, dataset.corpus, cache)
    return evaluate(dataset, retriever, split="test").scores.values[MEASURE].round(5).tolist()


def run(
    dataset: RetrievalDataset,
    name: str,
    options: EncoderOptions,
    training: TrainOptions,
    arm: str,
    cache: EmbeddingCache,
    base_scores: list[float],
) -> dict[str, Any]:
    """Returns the scores of one arm and seed, and how the training went; the base's where it was chosen."""
    miner, base = ARMS[arm], load_encoder(name, options)
    negatives = {} if miner is None else miner(dataset, base, cache, training.seed)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = train(
            TrainingSet.build(dataset, "train", negatives, NEGATIVES),
            name,
            Path(folder) / "model",
            options=training,
            encoder_options=options,
            cache=cache,
        )
        seconds = time.perf_counter() - started
        tuned = load_encoder(result.model.folder, options)
        scores = test(dataset, tuned, EmbeddingCache(None)) if result.chosen.step else base_scores
    return {
        "scores": scores,
        "chosen_step": result.chosen.step,
        "val": [checkpoint.score for checkpoint in result.checkpoints],
        "loss": result.checkpoints[-1].loss,
        "doubts": len(result.model.manifest["made_from"]["doubts"]),
        "train_seconds": round(seconds, 1),
    }


def evaluation(scores: list[float]) -> Evaluation:
    """Returns per-query means over seeds in the form that `compare` takes."""
    ids = tuple(str(i) for i in range(len(scores)))
    return Evaluation(Scores(ids, {MEASURE: np.array(scores)}), Run({}), dict.fromkeys(ids, ""), "the same")


def summary(done: dict[str, Any]) -> dict[str, Any]:
    """Returns each arm's mean, its seeds, and its paired difference to the arm without negatives, by query."""
    seeds = [seed for seed in SEEDS if all(str(seed) in done.get(arm, {}) for arm in ARMS)]
    if not seeds:
        return {}
    means = {arm: np.mean([done[arm][str(seed)]["scores"] for seed in seeds], axis=0).tolist() for arm in ARMS}
    table: dict[str, Any] = {"base": round(float(np.mean(done["base"])), 4)}
    for arm, scores in means.items():
        table[arm] = {
            MEASURE: round(float(np.mean(scores)), 4),
            "seeds": {seed: round(float(np.mean(done[arm][str(seed)]["scores"])), 4) for seed in seeds},
            "base_kept": sum(done[arm][str(seed)]["chosen_step"] == 0 for seed in seeds),
        }
        for other in ("no negatives", "positive-aware (default)"):
            if other != arm:
                found = compare(evaluation(means[other]), evaluation(scores)).main
                interval = [round(bound, 4) for bound in found.interval]
                table[arm][f"minus {other}"] = {
                    "mean": round(found.mean, 4),
                    "interval": interval,
                    "p": round(found.p, 4),
                }
    return table


def keep(content: dict[str, Any]) -> None:
    """Writes what is done so far."""
    write_text_whole(RESULT, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def main() -> None:
    """Runs what isn't done yet, seeds first, so that a run that breaks off has whole arms to compare."""
    cache, pairs = EmbeddingCache(sys.argv[1]), list(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    content = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {"runs": {}}
    settings = {"negatives": NEGATIVES, "queries": QUERIES, "documents": DOCUMENTS, "max_length": MAX_LENGTH}
    settings |= {"learning_rate": LEARNING_RATE, "chosen_by": CHOSEN_BY, "epochs": 1, "batch_size": 32, "scale": 20.0}
    content |= {"settings": settings} | provenance()
    for path, name in pairs:
        dataset, collection = RetrievalDataset.read(path), Path(path).parent.name
        dataset = smaller(dataset, QUERIES[collection], DOCUMENTS[collection])
        options = EncoderOptions(max_length=MAX_LENGTH[collection])
        done = content["runs"].setdefault(collection, {})
        if "base" not in done:
            done["base"] = test(dataset, load_encoder(name, options), cache)
        for seed, arm in itertools.product(SEEDS, ARMS):
            if str(seed) in done.setdefault(arm, {}):
                continue
            training = TrainOptions(
                epochs=1,
                batch_size=settings["batch_size"],
                scale=settings["scale"],
                validations=1,
                learning_rate=LEARNING_RATE[collection],
                val_split=CHOSEN_BY[collection],
                val_max_documents=VAL_DOCUMENTS,
                seed=seed,
            )
            done[arm][str(seed)] = run(dataset, name, options, training, arm, cache, done["base"])
            print(collection, arm, seed, round(float(np.mean(done[arm][str(seed)]["scores"])), 4), flush=True)
            keep(content)
        content.setdefault("summary", {})[collection] = summary(done)
        keep(content)
    print(json.dumps(content["summary"], indent=1))


if __name__ == "__main__":
    with progress.shown():
        main()
