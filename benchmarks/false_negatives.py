"""How many planted false negatives does the doctor see, and how many true negatives does it suspect?

python benchmarks/false_negatives.py COLLECTIONS [CACHE]: half of each query's known positives are moved out of the
judgements of English collections with several positives a query; what isn't known to be relevant counts as a true
negative. `--fit` prints the constants of evaluate/suspicion.py from the train and val queries; the curves are of the
test queries (six in med-1033), the doctor's verdicts of all. Results go to false_negatives.json beside this file.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embedtune.artifact import provenance
from embedtune.data.dataset import RetrievalDataset
from embedtune.evaluate.false_negatives import SUSPECT, diagnose
from embedtune.evaluate.suspicion import BACKGROUND_DOCUMENTS, suspicion, suspicion_features
from embedtune.mine.mining import mine_negatives
from embedtune.mine.options import MineOptions
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, load_encoder

COLLECTIONS = ("med-1033", "cystic-fibrosis", "cranfield", "chroma-chunk-eval", "scifact")
SEEDS = (0, 1, 2)
FEWEST = 10
POOLS = {"ranks 1-30": (0, 30), "ranks 51-100": (50, 100), "ranks 1-100": (0, 100)}
CAUGHT, LOST = 0.9, 0.05
RESULT = Path(__file__).with_suffix(".json")
RULES = {
    "case study's rule": MineOptions(strategy="rank-window", from_=50, to=100, sample=15),
    "first seven of the ranking": MineOptions(strategy="rank-window", fill_up=False),
    "positive-aware (default)": MineOptions(),
}

Floats = npt.NDArray[np.float64]


class Planted(NamedTuple):
    """Candidates of queries: ids, hidden or not, rank, what suspicion weighs, it, share of the lowest positive."""

    query_ids: npt.NDArray[np.str_]
    document_ids: npt.NDArray[np.str_]
    hidden: npt.NDArray[np.bool_]
    ranks: npt.NDArray[np.int64]
    features: Floats
    suspicion: Floats
    share: Floats


def plant(dataset: RetrievalDataset, splits: Sequence[str], seed: int) -> tuple[RetrievalDataset, dict[str, set[str]]]:
    """Returns the dataset without half of the positives of queries that have several, and what was hidden."""
    generator = random.Random(seed)
    judged = {q: dict(dataset.grades(q)) for q in dataset.relevant_docs}
    hidden: dict[str, set[str]] = {}
    for query_id in (q for split in splits for q in dataset.queries_split[split]):
        positives = dataset.positives(query_id)
        if len(positives) > 1:
            hidden[query_id] = set(generator.sample(positives, len(positives) // 2))
            judged[query_id] = {d: grade for d, grade in judged[query_id].items() if d not in hidden[query_id]}
    return replace(dataset, relevant_docs=judged, queries_split={"planted": list(hidden)}), hidden


def candidates(
    dataset: RetrievalDataset, hidden: dict[str, set[str]], encoder: Encoder, cache: EmbeddingCache
) -> Planted:
    """Returns the first 100 documents of each query that aren't known to be relevant."""
    ids = list(dataset.corpus)
    place = {document_id: i for i, document_id in enumerate(ids)}
    documents = cache.encode(encoder, list(dataset.corpus.values()), "document")
    queries = cache.encode(encoder, [dataset.queries[query_id] for query_id in hidden], "query")
    drawn = random.Random(0).sample(range(len(ids)), min(BACKGROUND_DOCUMENTS, len(ids)))
    background = documents[drawn]
    parts: list[tuple[Any, ...]] = []
    for query, (query_id, planted) in zip(queries, hidden.items(), strict=True):
        known = [place[d] for d in dataset.positives(query_id)]
        scores = documents @ query
        order = [i for i in np.argsort(-scores).tolist() if i not in known][:100]
        positives, found = documents[known], documents[order]
        parts.append(
            (
                np.array([query_id] * len(order)),
                np.array([ids[i] for i in order]),
                np.array([ids[i] in planted for i in order]),
                np.arange(len(order)),
                suspicion_features(query, positives, found, background),
                suspicion(query, positives, found, background),
                scores[order] / scores[known].min(),
            )
        )
    return together(parts)


def together(parts: Sequence[tuple[Any, ...]]) -> Planted:
    """Returns the candidates of all parts, one after the other."""
    return Planted(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def curve(hidden: npt.NDArray[np.bool_], score: Floats, threshold: float) -> dict[str, Any]:
    """Returns what a score catches of the planted at 5 % lost, loses at 90 % caught, and does at its threshold."""
    planted, true = score[hidden], score[~hidden]
    greater = (planted[:, None] > true[None, :]).mean() + (planted[:, None] == true[None, :]).mean() / 2
    return {
        "auc": round(float(greater), 3),
        "caught_at_5_percent_lost": round(float((planted > np.quantile(true, 1 - LOST)).mean()), 3),
        "lost_at_90_percent_caught": round(float((true >= np.quantile(planted, 1 - CAUGHT)).mean()), 3),
        "caught": round(float((planted >= threshold).mean()), 3),
        "lost": round(float((true >= threshold).mean()), 3),
    }


def see(name: str, folder: Path, encoder: Encoder, cache: EmbeddingCache) -> dict[str, Any]:
    """Returns the curves of one collection's test queries, and what the doctor says of negatives by several rules."""
    whole = RetrievalDataset.read(folder / name / "dataset.json")
    result: dict[str, Any] = {"curves": {}, "doctor": {}}
    pooled = together([candidates(*plant(whole, ["test"], seed), encoder, cache) for seed in SEEDS])
    for pool, (first, last) in POOLS.items():
        inside = (pooled.ranks >= first) & (pooled.ranks < last)
        hidden_ones = pooled.hidden[inside]
        if hidden_ones.sum() < FEWEST:
            continue
        result["curves"][pool] = {
            "planted": int(hidden_ones.sum()),
            "true_negatives": int((~hidden_ones).sum()),
            "suspicion": curve(hidden_ones, pooled.suspicion[inside], SUSPECT),
            "95 % of the lowest positive": curve(hidden_ones, pooled.share[inside], 0.95),
        }
    dataset, hidden = plant(whole, list(whole.queries_split), SEEDS[0])
    for rule, options in RULES.items():
        mined = mine_negatives(dataset, encoder, split="planted", cache=cache, options=options).negatives
        false = sum(len(hidden[query_id].intersection(documents)) for query_id, documents in mined.items())
        result["doctor"][f"{rule}, half of the positives hidden"] = verdict(dataset, mined, encoder, cache) | {
            "false_negatives": round(false / sum(map(len, mined.values())), 3)
        }
    good = replace(whole, queries_split={"planted": list(hidden)})
    mined = mine_negatives(good, encoder, split="planted", cache=cache).negatives
    result["doctor"]["positive-aware (default), nothing hidden"] = verdict(good, mined, encoder, cache) | {
        "false_negatives": 0.0
    }
    return result


def verdict(
    dataset: RetrievalDataset, mined: dict[str, list[str]], encoder: Encoder, cache: EmbeddingCache
) -> dict[str, Any]:
    """Returns the three signs and whether the doctor warns."""
    found = diagnose(dataset, mined, encoder, cache=cache)
    assert found is not None  # noqa: S101
    return {
        "loss_of_guessing": round(found.loss / found.chance, 3),
        "positives_under": round(found.under, 3),
        "suspect": round(found.suspect, 3),
        "warns": len(found.warnings),
    }


def fit(folder: Path, encoder: Encoder, cache: EmbeddingCache) -> None:
    """Prints the constants, both classes of every collection weighing the same."""
    from sklearn.linear_model import LogisticRegression

    features, labels, weights = [], [], []
    for name in COLLECTIONS:
        whole = RetrievalDataset.read(folder / name / "dataset.json")
        for seed in SEEDS:
            found = candidates(*plant(whole, ["train", "val"], seed), encoder, cache)
            features.append(found.features)
            labels.append(found.hidden)
            weights.append(np.where(found.hidden, 1 / found.hidden.sum(), 1 / (~found.hidden).sum()))
    weight = np.concatenate(weights)
    model = LogisticRegression().fit(
        np.concatenate(features), np.concatenate(labels), sample_weight=weight * len(weight) / weight.sum()
    )
    print("weights, base:", *model.coef_[0].round(3).tolist(), round(float(model.intercept_[0]), 3))


def main() -> None:
    """Prints the constants with --fit, else measures."""
    words = [word for word in sys.argv[1:] if word != "--fit"]
    folder, cache = Path(words[0]), EmbeddingCache(words[1] if len(words) > 1 else None)
    encoder = load_encoder("minilm")
    if "--fit" in sys.argv:
        fit(folder, encoder, cache)
        return
    content = {name: see(name, folder, encoder, cache) for name in COLLECTIONS}
    text = json.dumps({"collections": content, "seeds": SEEDS, "suspect_from": SUSPECT} | provenance(), indent=1)
    RESULT.write_text(text + "\n", encoding="utf-8")
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
