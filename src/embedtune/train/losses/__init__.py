"""What a training step makes smaller; each file is a loss of that name.

A loss is `loss(queries, documents, targets) -> scalar` over unit vectors, (queries, dim) and
(documents, dim) float32; targets.py says what it may know of them. It never sees the model, so
Matryoshka (matryoshka.py) and gradient caching (gradient_cache.py) work with every one. NEEDS names
the data that it can't do without: "teacher_scores", "scored_pairs", "guide", or None.
"""

from embedtune.registry import Registry

__all__ = ["LOSSES"]

LOSSES = Registry(__name__, "loss")
