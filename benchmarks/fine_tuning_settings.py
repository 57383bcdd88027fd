"""What fine_tuning.py trains on and with: the pairs of collections, how they are cut, and the numbers that count."""

from __future__ import annotations

import random
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from embedtune.data.corpus_sample import sample_corpus
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.general import GeneralLanguage
from embedtune.merge.options import ChooseOptions
from embedtune.models.sentence_transformer import choose_precision

sys.path.append(str(Path(__file__).parents[1] / "recipes"))
from case_study_training import FIRST_RUN, SECOND_RUN

SEEDS = (42, 43, 44)
MAX_LENGTH = 64
VAL_QUERIES, TEST_QUERIES, GUARD_QUERIES = 100, 300, 300
CHOOSING_QUERIES = 400
"""Val queries that choose a mixture's weight, where a collection has so many: weights differ by less than steps do."""
DOCUMENTS, VAL_DOCUMENTS = 600, 400
SAME_TIME_QUERIES = 100
"""With half of its train queries, for one epoch, ours takes about as long as the recipe with all of them."""
NEGATIVES = 2
"""Of the fifteen that the second run had: a step with fifteen takes five times as long."""
BF16 = choose_precision("auto", torch.device("cpu")) == "bfloat16"
"""Where the processor doesn't compute in it, the case study's bfloat16 takes several times as long as float32."""
EPOCHS, VALIDATIONS = 2, 2
GUARD_SHARE = 0.3
GRID = (0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Pair:
    """Two collections of a language: one trained on as in the case study's first run, one as in its second."""

    language: GeneralLanguage
    collections: tuple[str, str]
    learning_rate: float
    train_queries: int


PAIRS = {
    "english": Pair("en", ("scifact", "chroma-chunk-eval"), 5e-5, 200),
    "chinese": Pair("zh", ("cmrc2018", "toyhom-med-zh"), 5e-4, 500),
}
"""The learning rates are ours, the Chinese one chosen on val of seed 42; the case study's recipe has its own. The
Chinese encoder was never trained for retrieval and has more to learn."""


def cut(
    dataset: RetrievalDataset, train_queries: int, documents: int, val_queries: int = VAL_QUERIES
) -> RetrievalDataset:
    """Returns the dataset with fewer queries, and of the corpus what is relevant and some more."""
    kept = {}
    for split, most in (("train", train_queries), ("val", val_queries), ("test", TEST_QUERIES)):
        ids = dataset.split_query_ids(split)
        chosen = set(random.Random(SEEDS[0]).sample(ids, min(most, len(ids))))
        kept[split] = [query_id for query_id in ids if query_id in chosen]
    asked = [query_id for ids in kept.values() for query_id in ids]
    return RetrievalDataset(
        queries={query_id: dataset.queries[query_id] for query_id in asked},
        corpus=dict(sample_corpus(dataset, asked, documents, SEEDS[0])),
        relevant_docs={query_id: list(dataset.positives(query_id)) for query_id in asked},
        queries_split=kept,
    )


def settings(documents: int) -> dict[str, Any]:
    """Returns what the figures depend on."""
    return {
        "max_length": MAX_LENGTH,
        "documents": documents,
        "queries": {"val": VAL_QUERIES, "choosing": CHOOSING_QUERIES, "test": TEST_QUERIES, "guard": GUARD_QUERIES},
        "train_queries": {name: pair.train_queries for name, pair in PAIRS.items()},
        "same_time_queries": SAME_TIME_QUERIES,
        "guard_share": GUARD_SHARE,
        "grid": GRID,
        "refinements": ChooseOptions().refinements,
        "epochs": EPOCHS,
        "validations": VALIDATIONS,
        "case_study": {
            "first": asdict(FIRST_RUN),
            "second": asdict(SECOND_RUN) | {"negatives": NEGATIVES},
            "bf16": BF16,
        },
        "learning_rate": {name: pair.learning_rate for name, pair in PAIRS.items()},
        "val_documents": VAL_DOCUMENTS,
    }
