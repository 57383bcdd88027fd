"""Do the doctor's limits hold on collections that weren't looked at when they were set?

python benchmarks/doctor_limits.py COLLECTIONS CHINESE_ENCODER CACHE: CHINESE_ENCODER is what
benchmarks/chinese_encoder.py makes with --steps 0. Negatives by several rules for the test queries of each collection,
and what the doctor says of them; where queries have several positives, half of them are hidden too, as in
false_negatives.py. `wrong positives` gives each query another query's: its negatives are fine and its positives false.
Results go to doctor_limits.json beside this file; what is in it isn't done again.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from embedtune import progress
from embedtune.artifact import provenance, write_text_whole
from embedtune.data.corpus_sample import sample_corpus
from embedtune.data.dataset import RetrievalDataset
from embedtune.mine.mining import mine_negatives
from embedtune.mine.options import MineOptions
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, load_encoder
from false_negatives import RULES, SEEDS, plant, verdict

CHINESE = "chinese"
COLLECTIONS = {
    "pubmedqa-l": "minilm",
    "xquad-en": "minilm",
    "drcd": CHINESE,
    "cmrc2018": CHINESE,
    "xquad-zh": CHINESE,
    "rgb-zh-news": CHINESE,
    "toyhom-med-zh": CHINESE,
    "dureader-demo-zh": CHINESE,
}
DOCUMENTS, QUERIES = 2000, 300
"""Larger collections are cut: so many test queries, what is relevant to them, and other documents at random."""
MANY = 0.2
"""From this share of queries with several positives on, half of the positives are hidden."""
RESULT = Path(__file__).with_suffix(".json")

Sets = Iterator[tuple[str, RetrievalDataset, dict[str, list[str]], float | None]]


def sets(whole: RetrievalDataset, encoder: Encoder, cache: EmbeddingCache) -> Sets:
    """Yields sets of negatives: their name, the dataset that they belong to, they, and how many are false if known."""

    def mine(dataset: RetrievalDataset, split: str, options: MineOptions) -> dict[str, list[str]]:
        return dict(mine_negatives(dataset, encoder, split=split, cache=cache, options=options).negatives)

    for rule, options in RULES.items():
        yield rule, whole, mine(whole, "test", options), None
    moved = wrong_positives(whole)
    yield "positive-aware (default), wrong positives", moved, mine(moved, "test", MineOptions()), None
    asked = whole.queries_split["test"]
    if sum(len(whole.positives(query_id)) > 1 for query_id in asked) < MANY * len(asked):
        return
    dataset, hidden = plant(whole, ["test"], SEEDS[0])
    for rule, options in RULES.items():
        mined = mine(dataset, "planted", options)
        false = sum(len(hidden[query_id].intersection(documents)) for query_id, documents in mined.items())
        yield f"{rule}, half of the positives hidden", dataset, mined, false / sum(map(len, mined.values()))


def cut(whole: RetrievalDataset) -> RetrievalDataset:
    """Returns the collection, or a part of one that is too large to be encoded in the time there was."""
    if len(whole.corpus) <= DOCUMENTS:
        return whole
    asked = random.Random(SEEDS[0]).sample(whole.queries_split["test"], min(QUERIES, len(whole.queries_split["test"])))
    return RetrievalDataset(
        queries={query_id: whole.queries[query_id] for query_id in asked},
        corpus=dict(sample_corpus(whole, asked, DOCUMENTS, SEEDS[0])),
        relevant_docs={query_id: whole.relevant_docs[query_id] for query_id in asked},
        queries_split={"test": asked},
    )


def wrong_positives(whole: RetrievalDataset) -> RetrievalDataset:
    """Returns the dataset in which each test query has the positives of the test query half the split away."""
    asked = list(whole.queries_split["test"])
    away = asked[len(asked) // 2 :] + asked[: len(asked) // 2]
    judged = dict(whole.relevant_docs)
    judged |= {query_id: whole.relevant_docs[other] for query_id, other in zip(asked, away, strict=True)}
    return replace(whole, relevant_docs=judged, negative_docs={}, queries_split={"test": asked})


def see(whole: RetrievalDataset, encoder: Encoder, cache: EmbeddingCache) -> dict[str, Any]:
    """Returns the doctor's verdict of each set of negatives."""
    return {
        name: verdict(dataset, negatives, encoder, cache) | ({} if false is None else {"false": round(false, 3)})
        for name, dataset, negatives, false in sets(whole, encoder, cache)
    }


def main() -> None:
    """Measures, and writes what is known after each collection."""
    folder, chinese, cache = Path(sys.argv[1]), sys.argv[2], EmbeddingCache(sys.argv[3])
    content: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {"collections": {}}
    for name, encoder in COLLECTIONS.items():
        if name in content["collections"]:
            continue
        whole = cut(RetrievalDataset.read(folder / name / "dataset.json"))
        content["collections"][name] = see(whole, load_encoder(chinese if encoder == CHINESE else encoder), cache)
        print(name, json.dumps(content["collections"][name]), flush=True)
        write_text_whole(RESULT, json.dumps(content | provenance(), indent=1) + "\n")


if __name__ == "__main__":
    with progress.shown():
        main()
