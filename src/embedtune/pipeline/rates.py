"""How fast an encoder encodes and trains here, measured on the data's own texts and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import random
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from embedtune.artifact import provenance, write_text_whole
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import EmbedtuneError
from embedtune.models.encoder import Encoder, EncoderOptions, TextKind, load_encoder
from embedtune.models.tuned_encoder import TunedEncoder
from embedtune.packaged import MINILM
from embedtune.pipeline.content import outside_hash

__all__ = ["Rates", "documents_per_second", "measure_rates"]

_WARMING, _SAMPLED = 4, 48
_LONGEST_S = 2.0
_FOLDER = "rates"


@dataclass(frozen=True)
class Rates:
    """Texts a second and bytes of the process with the model loaded; the seconds of training a text where measured.

    The rest is where the encoder's vectors lie in the cache.
    """

    documents_per_s: float
    queries_per_s: float
    memory_bytes: int
    dim: int
    cache_key: dict[str, Any]
    prompts: Mapping[TextKind, str]
    train_seconds_per_text: float | None = None
    train_bytes: int = 0

    def prompt(self, kind: TextKind) -> str:
        """Returns the encoder's prompt."""
        return self.prompts[kind]


def measure_rates(
    encoder: str, options: EncoderOptions, dataset: RetrievalDataset, cache: Path, *, negatives: int | None = None
) -> Rates | None:
    """Returns the rates on some of the dataset's texts; those measured before for the same, where there are any.

    With `negatives`, training with so many a query is measured as well. Takes some seconds, most of
    them for loading the model. None where the encoder isn't on this machine, which nothing is fetched
    for, or can't be loaded or trained here.
    """
    if not _is_here(encoder, options):
        return None
    place = cache / _FOLDER / f"{_key(encoder, options, dataset, negatives)}.json"
    try:
        return Rates(**json.loads(place.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        pass
    try:
        rates = _measured(encoder, options, dataset, negatives)
    except EmbedtuneError:  # the run will say it, at the step that it stops
        return None
    write_text_whole(place, json.dumps(asdict(rates), ensure_ascii=False, indent=1) + "\n")
    return rates


def _is_here(encoder: str, options: EncoderOptions) -> bool:
    """Returns whether a model can be loaded without a network."""
    if encoder == MINILM or Path(encoder).expanduser().exists():
        return True
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        return isinstance(try_to_load_from_cache(encoder, "config.json", revision=options.revision), str)
    except HFValidationError:
        return False


def _key(encoder: str, options: EncoderOptions, dataset: RetrievalDataset, negatives: int | None) -> str:
    """Returns a hash of all that a rate depends on: model, options, texts, machine and versions."""
    about = provenance()
    parts = [outside_hash(encoder), options.model_dump(), dataset.content_hash(), negatives]
    parts += [about["hardware"], about["versions"], platform.processor(), os.environ.get("OMP_NUM_THREADS")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _measured(encoder: str, options: EncoderOptions, dataset: RetrievalDataset, negatives: int | None) -> Rates:
    loaded = load_encoder(encoder, options)
    base = loaded.base if isinstance(loaded, TunedEncoder) else loaded
    rates = Rates(
        documents_per_s=documents_per_second(base, dataset.corpus),
        queries_per_s=_rate(base, _sample(dataset.queries or dataset.corpus), "query"),
        memory_bytes=psutil.Process().memory_info().rss,
        dim=base.dim,
        cache_key=base.cache_key,
        prompts={"query": base.prompt("query"), "document": base.prompt("document")},
    )
    if negatives is None:
        return rates
    from embedtune.train.options import TrainOptions
    from embedtune.train.pace import measure_pace

    pace = measure_pace(dataset, encoder, negatives, TrainOptions(), options)
    if pace is None:
        return rates
    return Rates(**asdict(rates) | {"train_seconds_per_text": pace.seconds_per_text, "train_bytes": pace.extra_bytes})


def documents_per_second(encoder: Encoder, corpus: Mapping[str, str]) -> float:
    """Returns how fast documents are encoded, by some of them, after some to warm up."""
    documents = _sample(corpus)
    encoder.encode(documents[:_WARMING], "document")
    return _rate(encoder, documents, "document")


def _sample(texts: Mapping[str, str]) -> list[str]:
    ids = list(texts)
    return [texts[one] for one in random.Random(0).sample(ids, min(_SAMPLED, len(ids)))]


def _rate(encoder: Encoder, texts: list[str], kind: TextKind) -> float:
    """Returns texts a second, after at most some seconds."""
    started, done, size = time.perf_counter(), 0, max(1, len(texts) // 4)
    for first in range(0, len(texts), size):
        encoder.encode(texts[first : first + size], kind)
        done += len(texts[first : first + size])
        if time.perf_counter() - started > _LONGEST_S:
            break
    return done / max(1e-9, time.perf_counter() - started)
