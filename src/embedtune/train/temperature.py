"""The temperature that a model was trained with, as scale = 1 / temperature."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from embedtune.artifact import MANIFEST
from embedtune.models.encoder import Vectors
from embedtune.packaged import MINILM

__all__ = ["CANDIDATES", "KnownScale", "best_scale", "known_scale"]

CANDIDATES = (10.0, 20.0, 30.0, 50.0, 100.0)

_KNOWN = (
    (re.compile(r"\bbge-(small|base|large)-(en|zh)-v1\.5\b"), 50.0),  # temperature 0.02 in FlagEmbedding
    (
        re.compile(r"\b(multilingual-)?e5-(small|base|large)(-v2|-instruct)?\b"),
        100.0,
    ),  # https://arxiv.org/abs/2212.03533
    (re.compile(r"\bgte-(small|base|large)(-zh|-en-v1\.5)?\b"), 100.0),  # https://arxiv.org/abs/2308.03281
    (re.compile(r"\ball-minilm-l\d+-v\d\b|\ball-mpnet-base-v\d\b|\ball-distilroberta-v\d\b"), 20.0),  # model cards
    (re.compile(r"\bsentence-transformers/"), 20.0),
)


class KnownScale(NamedTuple):
    """A scale, and where it comes from."""

    scale: float
    source: str


def known_scale(name: str, folder: Path | None) -> KnownScale | None:
    """Returns the scale that a model was trained with, or None where nothing says it.

    Looked for in the manifest of a model that embedtune tuned, in the model's name, in the name
    that its configuration keeps, and in the name that its README begins with.
    """
    if name == MINILM:
        return KnownScale(20.0, "all-MiniLM-L6-v2")
    if folder is not None:
        tuned = _json(folder / MANIFEST).get("made_from")
        options = tuned.get("options") if isinstance(tuned, Mapping) else None
        scale = options.get("scale") if isinstance(options, Mapping) else None
        if isinstance(scale, int | float) and scale > 0:
            return KnownScale(float(scale), f"the training that made {folder.name}")
    for called in (name, *(() if folder is None else _names_in(folder))):
        for pattern, scale in _KNOWN:
            if pattern.search(called.lower()):
                return KnownScale(scale, called)
    return None


def _names_in(folder: Path) -> Iterator[str]:
    """Yields what a model's folder calls it."""
    for file in (folder / "config.json", folder / "0_Transformer" / "config.json"):
        called = _json(file).get("_name_or_path")
        if isinstance(called, str):
            yield called
    readme = folder / "README.md"
    if readme.is_file():
        lines = readme.read_text(encoding="utf-8", errors="replace").splitlines()
        yield from (line.lstrip("# ") for line in lines if line.startswith("# "))


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def best_scale(similarities: Vectors, relevant: Mapping[int, list[int]]) -> float:
    """Returns the candidate under which the relevant documents are most likely, by softmax over all documents.

    `similarities` is (queries, documents); `relevant` row → columns. Other relevant documents of a
    query are left out of the sum over documents, as in training.
    """
    losses = dict.fromkeys(CANDIDATES, 0.0)
    for row, columns in relevant.items():
        others = np.delete(similarities[row].astype(np.float64), columns)
        for scale in CANDIDATES:
            for column in columns:
                logits = scale * np.append(others, similarities[row, column])
                losses[scale] += float(np.logaddexp.reduce(logits) - logits[-1])
    return min(CANDIDATES, key=lambda scale: losses[scale])
