"""How many planted false negatives does a cross-encoder see, alone and with the doctor's suspicion?

python benchmarks/false_negatives_reranked.py COLLECTIONS CACHE WORK: all-MiniLM-L6-v2 is trained as a cross-encoder,
because none can be downloaded here: first to say what its own vectors say of train queries and documents, then on known
positives of train queries against unjudged documents of the ranking, yes or no. It reads what false_negatives.py plants
in val and test; on val a logistic regression learns to add it to what suspicion weighs; the curves are of test. WORK
keeps both models and the scores, which aren't made again. Results go to false_negatives_reranked.json beside this file.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import CrossEncoder
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from embedtune import progress
from embedtune.artifact import provenance, write_text_whole
from embedtune.data.dataset import RetrievalDataset
from embedtune.evaluate.false_negatives import SUSPECT
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, EncoderOptions, load_encoder
from embedtune.models.sentence_transformer import locate_model
from embedtune.search.dense import DenseRetriever
from embedtune.search.reranking import Pair, RerankerOptions, load_reranker
from false_negatives import COLLECTIONS, FEWEST, POOLS, SEEDS, Floats, Planted, candidates, curve, plant, together

POSITIVES = 600
"""At most so many known positives a collection are trained on, drawn over all its train queries."""
DEPTHS = (30, 100)
"""For each positive one negative is drawn from each of these first ranks."""
ECHOED = 800
"""So many pairs a collection teach the model its own cosines, before it learns what is relevant."""
ECHO_DEPTHS = (10, 100, 1000)
TYPICAL_COSINE, SPREAD = 0.3, 0.15
"""A cosine becomes a score by these two: an unrelated document is under 0, a near one over 0."""
LENGTH, MAX_LENGTH = 96, 128
"""In tokens: a text for its vector, query and document together for the cross-encoder; cut for want of time."""
BATCH, LEARNING_RATE, WARMUP = 16, 5e-5, 0.1
READ = COLLECTIONS[:3]
"""The other two have few test queries with several positives, 24 and 23, and more documents than these together."""
TRUE = {"val": 8, "test": 16}
"""So many of a query's true negatives among the first 100 documents are read, drawn at random, so shares stay true."""
RESULT = Path(__file__).with_suffix(".json")


class Labelled(NamedTuple):
    """A query, a document, and what is learnt of them: a score, or 1 where it's relevant and 0 where it isn't known."""

    query: str
    document: str
    target: float


Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def yes_or_no(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Returns the binary loss; a positive weighs as much as its negatives together."""
    weight = torch.where(targets > 0, float(len(DEPTHS)), 1.0)
    return functional.binary_cross_entropy_with_logits(scores, targets, weight=weight)


def echo(dataset: RetrievalDataset, encoder: Encoder, cache: EmbeddingCache) -> list[Labelled]:
    """Returns train queries with documents of near and far ranks, and the score that their cosine makes."""
    generator = random.Random(SEEDS[0])
    asked = {q: dataset.queries[q] for q in dataset.queries_split["train"]}
    found = DenseRetriever(encoder, dataset.corpus, cache).retrieve(asked, top_k=max(ECHO_DEPTHS)).rankings
    query_ids, pairs = list(asked), []
    for number in range(ECHOED):
        query_id = generator.choice(query_ids)
        hit = generator.choice(found[query_id][: ECHO_DEPTHS[number % len(ECHO_DEPTHS)]])
        score = (hit.score - TYPICAL_COSINE) / SPREAD
        pairs.append(Labelled(asked[query_id], dataset.corpus[hit.document_id], score))
    return pairs


def lesson(dataset: RetrievalDataset, encoder: Encoder, cache: EmbeddingCache) -> list[Labelled]:
    """Returns what is learnt from one collection's train queries: positives, and negatives of the ranking."""
    generator = random.Random(SEEDS[0])
    known = [(q, d) for q in dataset.queries_split["train"] for d in dataset.positives(q)]
    drawn = generator.sample(known, min(POSITIVES, len(known)))
    asked = {q: dataset.queries[q] for q, _ in drawn}
    most = max(len(dataset.positives(q)) for q in asked)
    found = DenseRetriever(encoder, dataset.corpus, cache).retrieve(asked, top_k=max(DEPTHS) + most).rankings
    pairs = []
    for query_id, positive in drawn:
        relevant = set(dataset.positives(query_id))
        others = [hit.document_id for hit in found[query_id] if hit.document_id not in relevant]
        documents = [(positive, 1.0), *((generator.choice(others[:depth]), 0.0) for depth in DEPTHS)]
        pairs += [Labelled(dataset.queries[query_id], dataset.corpus[d], label) for d, label in documents]
    return pairs


def teach(start: Path | str, pairs: list[Labelled], loss_of: Loss, folder: Path) -> Path:
    """Trains a cross-encoder for one epoch and writes it, unless it's there already; returns its folder."""
    if folder.exists():
        return folder
    torch.manual_seed(SEEDS[0])
    model = CrossEncoder(str(start), num_labels=1, max_length=MAX_LENGTH, device="cpu", local_files_only=True)
    pairs = random.Random(SEEDS[0]).sample(pairs, len(pairs))
    batches = [pairs[first : first + BATCH] for first in range(0, len(pairs), BATCH)]
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=len(batches), pct_start=WARMUP, anneal_strategy="linear"
    )
    model.train()
    losses = []
    with progress.task(f"training {folder.name}", len(batches)) as training:
        for number, batch in enumerate(batches, 1):
            scores = model(model.preprocess([(pair.query, pair.document) for pair in batch]))["scores"].reshape(-1)
            loss = loss_of(scores, torch.tensor([pair.target for pair in batch]))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            if number % 50 == 0:
                progress.say(f"step {number} of {len(batches)}, loss {np.mean(losses[-50:]):.3f}")
            training.advance()
    model.save_pretrained(str(folder))
    return folder


class Reader:
    """The cross-encoder's scores of one collection, kept in a file."""

    def __init__(self, dataset: RetrievalDataset, model: Path, kept: Path) -> None:
        self.dataset, self.model, self.kept = dataset, model, kept
        self.scores: dict[str, float] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}

    def read(self, pairs: list[tuple[str, str]]) -> Floats:
        """Returns the scores of (query id, document id), reading only what hasn't been read."""
        missing = [pair for pair in dict.fromkeys(pairs) if "\t".join(pair) not in self.scores]
        if missing:
            reranker = load_reranker(self.model, RerankerOptions(rerank_max_length=MAX_LENGTH))
            found = reranker.score([Pair(self.dataset.queries[q], self.dataset.corpus[d]) for q, d in missing])
            self.scores |= dict(zip(("\t".join(pair) for pair in missing), found.tolist(), strict=True))
            write_text_whole(self.kept, json.dumps(self.scores, ensure_ascii=False))
        return np.array([self.scores["\t".join(pair)] for pair in pairs])


class Read(NamedTuple):
    """What was planted, the cross-encoder's score of it, and that over the query's lowest-scored known positive."""

    planted: Planted
    score: Floats
    over_lowest: Floats

    @property
    def features(self) -> Floats:
        """Returns (candidates, 5): what suspicion weighs, and the cross-encoder's two."""
        return np.column_stack([self.planted.features, self.score, self.over_lowest])


def planted_and_read(
    whole: RetrievalDataset, split: str, encoder: Encoder, cache: EmbeddingCache, reader: Reader
) -> Read:
    """Returns the candidates of a split, planted by each seed, as the cross-encoder reads them."""
    parts, scores, over = [], [], []
    for seed in SEEDS if split == "test" else SEEDS[:1]:
        dataset, hidden = plant(whole, [split], seed)
        found = fewer(candidates(dataset, hidden, encoder, cache), TRUE[split])
        read = reader.read(list(zip(found.query_ids.tolist(), found.document_ids.tolist(), strict=True)))
        lowest = {q: reader.read([(q, d) for d in dataset.positives(q)]).min() for q in hidden}
        parts.append(found)
        scores.append(read)
        over.append(read - np.array([lowest[q] for q in found.query_ids.tolist()]))
    return Read(together(parts), np.concatenate(scores), np.concatenate(over))


def fewer(found: Planted, most: int) -> Planted:
    """Returns the hidden positives of each query and some of the other candidates."""
    generator, kept = random.Random(SEEDS[0]), found.hidden.copy()
    for query_id in dict.fromkeys(found.query_ids.tolist()):
        others = np.flatnonzero((found.query_ids == query_id) & ~found.hidden).tolist()
        kept[generator.sample(others, min(most, len(others)))] = True
    return Planted(*(column[kept] for column in found))


def fit(read: list[Read]) -> LogisticRegression:
    """Returns what adds the cross-encoder to suspicion, both classes of every collection weighing the same."""
    weight = np.concatenate(
        [
            np.where(part.planted.hidden, 1 / part.planted.hidden.sum(), 1 / (~part.planted.hidden).sum())
            for part in read
        ]
    )
    return LogisticRegression().fit(
        np.concatenate([part.features for part in read]),
        np.concatenate([part.planted.hidden for part in read]),
        sample_weight=weight * len(weight) / weight.sum(),
    )


def curves(read: Read, model: LogisticRegression) -> dict[str, Any]:
    """Returns what each score catches and loses among the first ranks, without and with the cross-encoder."""
    result: dict[str, Any] = {}
    both: npt.NDArray[np.float64] = model.decision_function(read.features)
    for pool, (first, last) in POOLS.items():
        inside = (read.planted.ranks >= first) & (read.planted.ranks < last)
        hidden = read.planted.hidden[inside]
        if hidden.sum() >= FEWEST:
            result[pool] = {
                "planted": int(hidden.sum()),
                "true_negatives": int((~hidden).sum()),
                "suspicion": curve(hidden, read.planted.suspicion[inside], SUSPECT),
                "cross-encoder": curve(hidden, read.score[inside], 0.0),
                "cross-encoder over the lowest positive": curve(hidden, read.over_lowest[inside], 0.0),
                "both": curve(hidden, both[inside], 0.0),
            }
    return result


def main() -> None:
    """Trains, reads, fits on val and measures on test."""
    folder, cache, work = Path(sys.argv[1]), EmbeddingCache(sys.argv[2]), Path(sys.argv[3])
    encoder = load_encoder("minilm", EncoderOptions(max_length=LENGTH))
    whole = {name: RetrievalDataset.read(folder / name / "dataset.json") for name in COLLECTIONS}
    whole = {name: replace(dataset, negative_docs={}) for name, dataset in whole.items()}
    echoed = [pair for dataset in whole.values() for pair in echo(dataset, encoder, cache)]
    judged = [pair for dataset in whole.values() for pair in lesson(dataset, encoder, cache)]
    start, _ = locate_model("minilm")
    model = teach(teach(start, echoed, functional.mse_loss, work / "echo"), judged, yes_or_no, work / "cross-encoder")
    readers = {name: Reader(whole[name], model, work / f"{name}.json") for name in READ}
    read = {
        split: {name: planted_and_read(whole[name], split, encoder, cache, reader) for name, reader in readers.items()}
        for split in ("val", "test")
    }
    added = fit(list(read["val"].values()))
    content: dict[str, Any] = {"collections": {name: curves(part, added) for name, part in read["test"].items()}}
    settings = {
        "echoed_pairs": len(echoed),
        "judged_pairs": len(judged),
        "max_length": MAX_LENGTH,
        "vectors_max_length": LENGTH,
        "true_negatives": TRUE,
        "batch_size": BATCH,
        "learning_rate": LEARNING_RATE,
    }
    weights = [*added.coef_[0].round(3).tolist(), round(float(added.intercept_[0]), 3)]
    content |= {"settings": settings, "weights": weights, "seeds": SEEDS} | provenance()
    write_text_whole(RESULT, json.dumps(content, indent=1) + "\n")
    print(json.dumps(content["collections"], indent=1))


if __name__ == "__main__":
    with progress.shown():
        main()
