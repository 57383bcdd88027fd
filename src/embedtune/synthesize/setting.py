"""What every backend is told: how many queries of which kinds, the seed, and where to keep and report."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["GenerationSetting", "Tally"]

_SHOWN = 5


@dataclass
class Tally:
    """What a backend reports: queries it didn't accept, by reason and with examples, and facts of its own.

    `record` is what decided the queries (model, prompts …) and is kept in the dataset; `facts` are about
    this run alone (calls, cost …).
    """

    rejected: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)

    def reject(self, reason: str, document_id: str, text: str) -> None:
        """Counts something that was not accepted, and keeps the first few as examples."""
        self.rejected[reason] += 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < _SHOWN:
            shown.append(f"{document_id}: {' '.join(text.split())[:200]}")


@dataclass(frozen=True)
class GenerationSetting:
    """The part of a backend's task that doesn't depend on the backend.

    `kinds` are weights. `per_document` is exact; None leaves 1 to 3 to the backend, by the
    document's length. `headings` holds the heading path of documents whose file had one.
    """

    kinds: Mapping[str, float]
    per_document: int | None = None
    seed: int = 42
    cache_folder: Path | None = None
    headings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    def random_for(self, text: str) -> random.Random:
        """Returns a generator that depends on the seed and a document's text, never on other documents."""
        whole = f"{self.seed}\0{text}".encode("utf-8", "surrogatepass")
        return random.Random(int.from_bytes(hashlib.blake2b(whole, digest_size=8).digest()))
