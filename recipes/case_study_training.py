"""The case study's training as it was: sentence-transformers' trainer, InfoNCE, no choice of a checkpoint.

Kept apart from embedtune's own training, which does all of this differently, so that both can be measured.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from transformers import PrinterCallback

from embedtune.data.dataset import RetrievalDataset
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder
from embedtune.search.dense import DenseRetriever

__all__ = ["FIRST_RUN", "MINED", "SECOND_RUN", "CaseStudy", "fine_tune", "mine_as_published"]

MINED = 15
_FROM, _TO = 50, 100


@dataclass(frozen=True)
class CaseStudy:
    """The settings of a run; the rest was the same in both."""

    negatives: int
    accumulation: int
    batch_size: int = 32
    learning_rate: float = 2e-5
    epochs: int = 1
    scale: float = 20.0
    bf16: bool = True


FIRST_RUN = CaseStudy(negatives=1, accumulation=16)
SECOND_RUN = CaseStudy(negatives=15, accumulation=2)


def mine_as_published(
    dataset: RetrievalDataset, query_ids: Sequence[str], encoder: Encoder, cache: EmbeddingCache, seed: int
) -> dict[str, list[str]]:
    """Returns for each query fifteen documents drawn from ranks 51 to 100, known positives among them.

    A corpus of under a hundred documents gives what lies beyond rank 50, or anything where nothing does.
    """
    run = DenseRetriever(encoder, dataset.corpus, cache).retrieve({q: dataset.queries[q] for q in query_ids}, _TO)
    choice = random.Random(seed)
    drawn: dict[str, list[str]] = {}
    for query_id in query_ids:
        ranked = run.document_ids(query_id)
        window = ranked[_FROM:] or ranked
        drawn[query_id] = choice.sample(window, min(MINED, len(window)))
    return drawn


def fine_tune(
    dataset: RetrievalDataset,
    query_ids: Sequence[str],
    negatives: Mapping[str, Sequence[str]],
    encoder: str,
    folder: Path,
    settings: CaseStudy,
    *,
    query_instruction: str = "",
    max_length: int | None = None,
    seed: int = 42,
) -> int:
    """Trains every (query, relevant document) of the queries and writes the last weights; returns how many there were.

    The loss is over the batch alone: accumulation adds no negatives.
    """
    columns = _columns(dataset, query_ids, negatives, settings.negatives)
    model = SentenceTransformer(encoder)
    if max_length is not None:
        model.max_seq_length = max_length
    with tempfile.TemporaryDirectory() as scratch:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=scratch,
            num_train_epochs=settings.epochs,
            per_device_train_batch_size=settings.batch_size,
            gradient_accumulation_steps=settings.accumulation,
            learning_rate=settings.learning_rate,
            bf16=settings.bf16,
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=torch.cuda.is_available(),
            prompts={"anchor": query_instruction} if query_instruction else None,
            seed=seed,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = SentenceTransformerTrainer(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_dict(columns),
            loss=MultipleNegativesRankingLoss(model, scale=settings.scale),
        )
        trainer.remove_callback(PrinterCallback)  # stdout is the result
        trainer.train()
    model.save_pretrained(str(folder), create_model_card=False)
    return len(columns["anchor"])


def _columns(
    dataset: RetrievalDataset, query_ids: Sequence[str], negatives: Mapping[str, Sequence[str]], count: int
) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {"anchor": [], "positive": []}
    count = min([count, *(len(negatives[query_id]) for query_id in query_ids)])
    columns |= {f"negative_{number}": [] for number in range(1, count + 1)}
    for query_id in query_ids:
        chosen = negatives[query_id][:count]
        for positive_id in dataset.positives(query_id):
            columns["anchor"].append(dataset.queries[query_id])
            columns["positive"].append(dataset.corpus[positive_id])
            for number, document_id in enumerate(chosen, 1):
                columns[f"negative_{number}"].append(dataset.corpus[document_id])
    return columns
