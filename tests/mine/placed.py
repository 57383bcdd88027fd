"""An encoder for tests whose vectors are given."""

from __future__ import annotations

import numpy as np


class Placed:
    """Each text's angle from the query, by its cosine."""

    dim = 2

    def __init__(self, cosines):
        self.cosines = cosines
        self.cache_key = {}

    def prompt(self, kind):
        return ""

    def encode(self, texts, kind):
        cosines = np.array([self.cosines.get(text, 1.0) for text in texts], dtype=np.float32)
        return np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)
