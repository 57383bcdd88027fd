"""How fast an export is beside sentence-transformers in float32, taking turns."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer

from embedtune import progress
from embedtune.export.export_options import ProofOptions
from embedtune.models.encoder import Encoder

__all__ = ["Pace", "Speed", "measure_speed"]


@dataclass(frozen=True)
class Pace:
    """One contestant: documents a second, and milliseconds for a single query."""

    documents_per_s: float
    query_ms_p50: float
    query_ms_p95: float


@dataclass(frozen=True)
class Speed:
    """The export beside sentence-transformers as it comes: float32, batches of 32."""

    documents: int
    queries: int
    float32: Pace
    exported: Pace

    @property
    def ratio(self) -> float:
        """Returns how many times as many documents a second the export does."""
        return self.exported.documents_per_s / self.float32.documents_per_s

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON values."""
        return asdict(self) | {"ratio": self.ratio}


def measure_speed(
    plain: SentenceTransformer,
    encoder: Encoder,
    documents: Sequence[str],
    queries: Sequence[str],
    options: ProofOptions,
) -> Speed:
    """Returns the medians of both over a sample of documents, and of queries that come one at a time."""
    chosen = random.Random(options.seed).sample(list(documents), min(options.speed_documents, len(documents)))
    asked = [queries[place % len(queries)] for place in range(options.speed_queries)]
    in_bulk: list[Callable[[], object]] = [
        partial(plain.encode_document, chosen, show_progress_bar=False),
        partial(encoder.encode, chosen, "document"),
    ]
    with progress.task("measure the speed", total=options.rounds + len(asked)) as measuring:
        for run in in_bulk:
            run()
        rounds = []
        for _ in range(options.rounds):
            rounds.append([_seconds(run) for run in in_bulk])
            measuring.advance()
        latencies = []
        for query in asked:
            single: list[Callable[[], object]] = [
                partial(plain.encode_query, [query], show_progress_bar=False),
                partial(encoder.encode, [query], "query"),
            ]
            latencies.append([_seconds(run) for run in single])
            measuring.advance()
    paces = [
        Pace(
            len(chosen) / statistics.median(bulk),
            float(np.quantile(alone, 0.5)) * 1000,
            float(np.quantile(alone, 0.95)) * 1000,
        )
        for bulk, alone in zip(zip(*rounds, strict=True), zip(*latencies, strict=True), strict=True)
    ]
    return Speed(len(chosen), len(asked), *paces)


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
